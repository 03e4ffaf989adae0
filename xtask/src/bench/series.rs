//! The figures of one variant over all turns.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// What one process measured: see `tests/bench`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Summary {
    /// Median round trip, nanoseconds.
    pub(crate) p50: u64,
    /// 99th percentile, nanoseconds.
    pub(crate) p99: u64,
    /// Per device on the way.
    pub(crate) devices: Vec<PerRound>,
}

/// Notifications per round trip.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct PerRound {
    pub(crate) kicks: f64,
    pub(crate) interrupts: f64,
}

impl Summary {
    /// Reads the summary a process left.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let json =
            std::fs::read(path).with_context(|| format!("no summary at {}", path.display()))?;
        std::fs::remove_file(path).context("cannot remove the summary")?;
        serde_json::from_slice(&json).context("summary of a measuring process")
    }
}

/// One summary per turn.
#[derive(Debug)]
pub(crate) struct Series {
    /// What was measured.
    pub(crate) name: &'static str,
    turns: Vec<Summary>,
}

/// Median and extremes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Series {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            turns: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, summary: Summary) {
        self.turns.push(summary);
    }

    /// Any figure over the turns.
    pub(crate) fn spread(&self, figure: impl Fn(&Summary) -> f64) -> Spread {
        Spread::of(self.turns.iter().map(figure))
    }

    /// Median round trip in comparison, turn by turn.
    pub(crate) fn ratio(&self, base: &Self) -> Spread {
        let pairs = self.turns.iter().zip(&base.turns);
        Spread::of(pairs.map(|(own, base)| own.p50 as f64 / base.p50 as f64))
    }

    /// Notifications per round trip of the device at `index` on the way.
    pub(crate) fn device(&self, index: usize, figure: impl Fn(&PerRound) -> f64) -> Spread {
        self.spread(|turn| turn.devices.get(index).map_or(f64::NAN, &figure))
    }

    /// How many devices are on the way.
    pub(crate) fn devices(&self) -> usize {
        self.turns.first().map_or(0, |turn| turn.devices.len())
    }
}

impl Spread {
    /// Of at least one value; of an even number, the upper median.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len() / 2),
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_median_and_extremes() {
        let spread = Spread::of([3.0, 1.0, 2.0].into_iter());
        assert_eq!(
            spread,
            Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            }
        );
    }

    #[test]
    fn ratios_pair_turn_by_turn() {
        let series = |p50: [u64; 3]| Series {
            name: "",
            turns: p50
                .map(|p50| Summary {
                    p50,
                    p99: 0,
                    devices: Vec::new(),
                })
                .to_vec(),
        };
        let ratio = series([20, 60, 40]).ratio(&series([10, 20, 10]));
        assert_eq!((ratio.min, ratio.median, ratio.max), (2.0, 3.0, 4.0));
    }
}
