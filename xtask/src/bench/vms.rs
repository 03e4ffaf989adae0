//! In real virtual machines: what the kernel's driver costs a guest.
//!
//! Two boots of the image `bare`. In the first the guest has one processor whose time is the number of
//! its instructions, so its figures do not depend on the machine or its load. In the second it runs as
//! guests do, and shared memory is measured by the clock.

use anyhow::{Context as _, Result};
use integration_tests::vm::Assets;
use integration_tests::vm::qemu::Accel as Kind;

use super::Args;
use super::guest::{Done, Guest};
use crate::vm::{self, Image};
use crate::{cargo, deps};

mod table;

/// Times and counts that are not asked for otherwise.
const ROUNDS: usize = 500;
/// Round trips before the first counted one: what is set up on first use has been then.
const WARM_UP: usize = 20;
/// Pieces of shared memory whose kicks are counted.
const MAPPINGS: usize = 64;
/// How many mappings are live while one is measured: QEMU takes longer the more there are.
const LIVE: [usize; 3] = [1, 100, 400];
/// The last so many on the way to each of [`LIVE`] are its figures.
const MAPPING_ROUNDS: usize = 16;

/// Everything the first boot gives.
#[derive(Debug)]
struct Instructions {
    rounds: usize,
    /// What reading the clock takes.
    nothing: Done,
    local: Done,
    echo: Done,
    send: Done,
    receive: Done,
    allocate: Done,
    close: Done,
}

/// Builds, boots, measures, prints.
pub(super) fn run(args: &Args) -> Result<()> {
    deps::require(&[deps::BUILD, deps::PROGRAMS, deps::VM])?;
    println!("building ({:?}) ...", args.profile);
    let binaries = cargo::build_packages(args.profile, &["vhost-device-wl", "bench-peers"])?;
    let files = vm::ensure(&[Image::Bare], args.profile)?;
    let accel = args.accel.resolve(&files)?;
    let assets = Assets::with(binaries)?;
    println!("a guest whose time is its instructions ...");
    let instructions = instructions(&assets, args.rounds.unwrap_or(ROUNDS))?;
    println!("a guest with two processors ({accel}) ...");
    let mappings = mappings(&assets, accel)?;
    table::instructions(&instructions)?;
    table::mappings(accel, &mappings)
}

fn instructions(assets: &Assets, rounds: usize) -> Result<Instructions> {
    let mut guest = Guest::boot(assets, Kind::Icount { shift: 0 }, 1, true)?;
    for step in ["nothing", "local", "echo", "send", "receive"] {
        guest.step(step, WARM_UP)?;
    }
    let done = Instructions {
        rounds,
        nothing: guest.step("nothing", rounds)?,
        local: guest.step("local", rounds)?,
        echo: guest.step("echo", rounds)?,
        send: guest.step("send", rounds)?,
        receive: guest.step("receive", rounds)?,
        allocate: guest.step("live", MAPPINGS)?,
        close: guest.step("live", 0)?,
    };
    guest.stop()?;
    Ok(done)
}

/// One more piece of memory while so many are live.
#[derive(Debug)]
struct AtLive {
    live: usize,
    /// Mapped anew.
    fresh: Done,
    /// In the place of one that was just closed.
    again: Done,
}

fn mappings(assets: &Assets, accel: &str) -> Result<Vec<AtLive>> {
    let accel = accel.parse().context("accelerator")?;
    let mut guest = Guest::boot(assets, accel, 2, false)?;
    let mut found = Vec::new();
    for live in LIVE {
        guest.step("live", live.saturating_sub(MAPPING_ROUNDS))?;
        found.push(AtLive {
            live,
            fresh: guest.step("live", live)?,
            again: guest.step("again", MAPPING_ROUNDS)?,
        });
    }
    guest.stop()?;
    Ok(found)
}
