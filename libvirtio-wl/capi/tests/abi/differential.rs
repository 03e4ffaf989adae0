//! The same random calls on a Unix socket and on a VFD (`tests/c/differential.c`).

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use integration_tests::skip;

use crate::compile::source;
use crate::programs::{Under, run_with};
use crate::world::World;

/// Calls in each of the two long runs.
const MANY: &str = "50000";

/// Calls under the eyes of a sanitizer, which see every kind of them many times.
const SOME: &str = "4000";

/// Calls under valgrind, which is slow.
const FEW: &str = "600";

/// Runs that many calls, made up from `seed`, as a program called `name`.
#[allow(clippy::print_stdout, reason = "the seed, to run it again")]
fn run(name: &str, steps: &str, seed: &str, under: Under) -> Result<()> {
    println!("seed {seed}");
    let sources = ["differential.c", "twins.c", "world.c"].map(source);
    let world = World::new()?;
    let said = run_with(name, &sources, &[steps, seed], under, &world)?;
    print!("{said}");
    Ok(())
}

/// A seed of today.
fn new_seed() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.as_nanos().to_string())
}

#[test]
fn always_the_same_calls() -> Result<()> {
    run("differential-same", MANY, "1", Under::Nothing)
}

#[test]
fn other_calls_each_time() -> Result<()> {
    run("differential-new", MANY, &new_seed()?, Under::Nothing)
}

#[test]
fn under_asan() -> Result<()> {
    run("differential", SOME, &new_seed()?, Under::AddressSanitizer)
}

#[test]
fn under_valgrind() -> Result<()> {
    if !skip::has_programs("differential::under_valgrind", &["valgrind"]) {
        return Ok(());
    }
    run("differential", FEW, &new_seed()?, Under::Valgrind)
}
