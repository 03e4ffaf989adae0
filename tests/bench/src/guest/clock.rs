//! Times, and how much of them the processor slept.

use std::{fs::File, os::unix::fs::FileExt, time::Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

#[cfg(test)]
mod tests;

/// What the kernel knows of its timers and of its idle processors; only root may read it.
const TIMERS: &str = "/proc/timer_list";

/// Room for [`TIMERS`] with one processor: a few KiB; what is looked for comes first.
const ROOM: usize = 64 * 1024;

/// What one thing took, over all times it was done. Nanoseconds.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    /// What was done.
    name: &'static str,
    /// By the guest's clock, from begin to end.
    elapsed: Spread,
    /// The same without the time that the processor slept.
    busy: Option<Spread>,
}

/// Extremes and median.
#[derive(Debug, Serialize)]
struct Spread {
    min: u64,
    p50: u64,
    max: u64,
}

/// Collects times.
#[derive(Debug)]
pub(super) struct Clock {
    idle: Option<Idle>,
    samples: Vec<(&'static str, Vec<Sample>)>,
}

/// How often [`Clock::time`] was told to do something, and what it took. Nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    elapsed: u64,
    slept: u64,
}

impl Clock {
    /// With `idle`, the time that the only processor sleeps is told apart.
    pub(super) fn new(idle: bool) -> Result<Self> {
        Ok(Self {
            idle: idle.then(Idle::open).transpose()?,
            samples: Vec::new(),
        })
    }

    /// Does something and remembers what it took.
    pub(super) fn time<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        // What the processor sleeps is read outside: reading it takes long and never sleeps.
        let before = self.slept()?;
        let start = Instant::now();
        let result = work()?;
        let elapsed = u64::try_from(start.elapsed().as_nanos())?;
        let slept = self.slept()?.checked_sub(before).context("time ran back")?;
        ensure!(slept <= elapsed, "slept {slept} of {elapsed} ns");
        let sample = Sample { elapsed, slept };
        match self.samples.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(sample),
            None => self.samples.push((name, vec![sample])),
        }
        Ok(result)
    }

    fn slept(&mut self) -> Result<u64> {
        self.idle.as_mut().map_or(Ok(0), Idle::read)
    }

    /// All that was timed since the last call.
    pub(super) fn parts(&mut self) -> Result<Vec<Part>> {
        let has_idle = self.idle.is_some();
        let parts = self.samples.drain(..).map(|(name, samples)| {
            let busy = |sample: &Sample| sample.elapsed - sample.slept;
            Ok(Part {
                name,
                elapsed: Spread::of(samples.iter().map(|sample| sample.elapsed))?,
                busy: has_idle
                    .then(|| Spread::of(samples.iter().map(busy)))
                    .transpose()?,
            })
        });
        parts.collect()
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Result<Self> {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        let at = |index: usize| values.get(index).copied().context("nothing was timed");
        Ok(Self {
            min: at(0)?,
            p50: at(values.len().saturating_sub(1) / 2)?,
            max: at(values.len().saturating_sub(1))?,
        })
    }
}

/// How long the only processor has slept since the boot.
#[derive(Debug)]
struct Idle {
    timers: File,
    text: Vec<u8>,
}

impl Idle {
    fn open() -> Result<Self> {
        let processors = std::thread::available_parallelism()?.get();
        ensure!(processors == 1, "{processors} processors, not one");
        Ok(Self {
            timers: File::open(TIMERS).context(TIMERS)?,
            text: vec![0; ROOM],
        })
    }

    /// Nanoseconds.
    fn read(&mut self) -> Result<u64> {
        // The kernel gives it in parts.
        let mut filled = 0;
        while filled < self.text.len() {
            let (room, at) = (&mut self.text[filled..], u64::try_from(filled)?);
            match self.timers.read_at(room, at).context(TIMERS)? {
                0 => break,
                bytes => filled += bytes,
            }
            if let Some(slept) = slept(&self.text[..filled]) {
                return Ok(slept);
            }
        }
        anyhow::bail!("{TIMERS} does not tell how long the processor sleeps")
    }
}

/// Finds both kinds of sleep in the text: `  .idle_sleeptime : 12345678 nsecs`.
fn slept(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let field = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let (value, _) = rest.split_once("nsecs")?;
        value.trim_matches([' ', ':']).parse::<u64>().ok()
    };
    field(".idle_sleeptime")?.checked_add(field(".iowait_sleeptime")?)
}
