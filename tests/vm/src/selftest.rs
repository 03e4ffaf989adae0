//! The self-test of the driver, in a guest.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::vm::Vm;

use crate::tap::Results;

/// How long it may take, on an emulated processor that others want as well. Only bounds a hang.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `virtio-wl-selftest` as root; each of its tests must be tried, and pass.
///
/// # Errors
/// When one fails or is skipped, or there is none; with what was said of it.
pub fn run(vm: &Vm, args: &[&str]) -> Result<Results> {
    let argv = std::iter::once("virtio-wl-selftest").chain(args.iter().copied());
    let program = vm.command(argv).root().start()?;
    let status = program.wait_within(LIMIT)?;
    let results = Results::parse(&program.output().stdout)?;
    ensure!(
        status.success() && results.failed.is_empty() && results.skipped.is_empty(),
        "{status:?}, failed: {:#?}, skipped: {:#?}\n{}",
        results.failed,
        results.skipped,
        program.story()
    );
    ensure!(results.passed > 0, "no test of that name: {args:?}");
    Ok(results)
}
