//! Times round trips and sums them up.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{
    Rounds,
    counters::{PerRound, Probes},
};

/// What one process measured; `xtask` reads it from the JSON. Times are nanoseconds of wall clock per round trip.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Counted round trips.
    pub(crate) rounds: usize,
    /// The fastest.
    pub(crate) min: u64,
    /// Median.
    pub(crate) p50: u64,
    /// 99th percentile.
    pub(crate) p99: u64,
    /// What each device on the way counted, in the order of `--control`.
    pub(crate) devices: Vec<PerRound>,
}

/// Runs `round_trip` for the warm-up and then for the counted rounds.
pub(crate) fn time(rounds: &Rounds, mut round_trip: impl FnMut() -> Result<()>) -> Result<Summary> {
    ensure!(rounds.rounds > 0, "nothing to measure: --rounds is 0");
    let mut probes = Probes::connect(&rounds.control)?;
    for _ in 0..rounds.warm_up {
        round_trip()?;
    }
    let before = probes.read()?;
    let mut nanoseconds = Vec::with_capacity(rounds.rounds);
    for _ in 0..rounds.rounds {
        let start = Instant::now();
        round_trip()?;
        nanoseconds.push(u64::try_from(start.elapsed().as_nanos())?);
    }
    let after = probes.read()?;
    nanoseconds.sort_unstable();
    let at = |percent: usize| nanoseconds[(nanoseconds.len() - 1) * percent / 100];
    Ok(Summary {
        rounds: rounds.rounds,
        min: at(0),
        p50: at(50),
        p99: at(99),
        devices: before
            .into_iter()
            .zip(after)
            .map(|(before, after)| (after - before).per_round(rounds.rounds))
            .collect(),
    })
}

/// A payload that tells a lost, doubled or swapped byte.
pub(crate) fn payload(bytes: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(bytes).collect()
}
