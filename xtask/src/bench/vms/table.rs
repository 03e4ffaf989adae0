//! The figures of virtual machines, side by side.

use anyhow::Result;

use super::{AtLive, Instructions, MAPPINGS};
use crate::bench::guest::{Counts, Done, Part, Spread};

/// Nanoseconds in a microsecond.
const MICROSECOND: f64 = 1000.0;

/// Prints what the guest has done, in instructions, and whom it has told.
pub(super) fn instructions(found: &Instructions) -> Result<()> {
    // Of each figure, what reading the clock takes is taken off.
    let clock = found.nothing.part("nothing")?.instructions()?.min;
    println!();
    println!("instructions of the guest and its kernel, without those while it slept");
    println!(
        "{:34} {:>10} {:>10} {:>18}",
        "64 bytes there and back", "least", "median", "slept, median us"
    );
    let round_trip = |name: &str, part: &Part| -> Result<[f64; 2]> {
        let Spread { min, p50, .. } = part.instructions()?;
        let (least, median) = (min.saturating_sub(clock), p50.saturating_sub(clock));
        let slept = part.elapsed.p50.saturating_sub(p50) as f64 / MICROSECOND;
        println!("{name:34} {least:>10} {median:>10} {slept:>18.1}");
        Ok([least as f64, median as f64])
    };
    let local = round_trip("Unix socket, echo in the guest", found.local.part("local")?)?;
    let echo = round_trip("Channel, echo on the host", found.echo.part("echo")?)?;
    println!(
        "{:34} {:>10.2} {:>10.2}",
        "ratio",
        echo[0] / local[0],
        echo[1] / local[1]
    );
    println!();
    println!(
        "one of many operations; kicks and interrupts as the device counts them, and taken by the guest"
    );
    println!(
        "{:34} {:>12} {:>10} {:>12} {:>10}",
        "", "instructions", "kicks", "interrupts", "taken"
    );
    let least = |done: &Done, name| -> Result<f64> {
        Ok(done.part(name)?.instructions()?.min.saturating_sub(clock) as f64)
    };
    let rounds = found.rounds as f64;
    let messages = found.receive.counts.messages as f64;
    let mappings = MAPPINGS as f64;
    let rows = [
        ("echo, 64 bytes", &found.echo, rounds, Some(echo[0])),
        (
            "send, 64 bytes",
            &found.send,
            rounds,
            Some(least(&found.send, "send")? / rounds),
        ),
        (
            "receive, a message of a stream",
            &found.receive,
            messages,
            Some(least(&found.receive, "receive")? / messages),
        ),
        (
            "NEW_ALLOC, 64 KiB",
            &found.allocate,
            mappings,
            Some(least(&found.allocate, "NEW_ALLOC")?),
        ),
        ("munmap and close", &found.close, mappings, None),
    ];
    for (name, done, each, instructions) in rows {
        let Counts {
            kicks,
            interrupts,
            taken,
            ..
        } = done.counts;
        let [kicks, interrupts, taken] =
            [kicks, interrupts, taken].map(|count| count as f64 / each);
        let instructions = instructions.map_or_else(String::new, |count| format!("{count:.0}"));
        println!("{name:34} {instructions:>12} {kicks:>10.2} {interrupts:>12.2} {taken:>10.2}");
    }
    for (name, part) in [("mmap, 64 KiB", "mmap"), ("touch its 16 pages", "touch")] {
        println!("{name:34} {:>12.0}", least(&found.allocate, part)?);
    }
    Ok(())
}

/// Prints what one more piece of memory costs while others are live.
pub(super) fn mappings(accel: &str, found: &[AtLive]) -> Result<()> {
    println!();
    println!(
        "64 KiB more of shared memory, us of the guest's clock ({accel}): median [least - most]"
    );
    println!(
        "{:>5} {:>23} {:>18} {:>18} {:>23} {:>20}",
        "live", "NEW_ALLOC", "mmap", "touch", "NEW_ALLOC, reused", "munmap, close"
    );
    for AtLive { live, fresh, again } in found {
        println!(
            "{live:>5} {:>23} {:>18} {:>18} {:>23} {:>20}",
            micros(fresh, "NEW_ALLOC")?,
            micros(fresh, "mmap")?,
            micros(fresh, "touch")?,
            micros(again, "NEW_ALLOC")?,
            micros(again, "munmap, close")?
        );
    }
    Ok(())
}

fn micros(done: &Done, name: &str) -> Result<String> {
    let us = |nanoseconds: u64| nanoseconds as f64 / MICROSECOND;
    let Spread { min, p50, max } = done.part(name)?.elapsed;
    Ok(format!("{:.0} [{:.0} - {:.0}]", us(p50), us(min), us(max)))
}
