//! The tests in real virtual machines.

use std::process::Command;

use anyhow::{Context as _, Result};
use integration_tests::vm::console;
use integration_tests::vm::qemu::ACCEL_VARIABLE;

use super::report::Report;
use super::suite;
use crate::cargo::Profile;
use crate::vm::{self, Accel, Image};

/// Options of the tests in virtual machines.
#[derive(Debug, clap::Args)]
pub(super) struct VmArgs {
    /// In virtual machines, run the tests that take long, too
    #[arg(long)]
    all: bool,
    /// When a test in a virtual machine fails, open a shell in its guest
    #[arg(long)]
    shell: bool,
    /// How virtual machines run
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    accel: Accel,
}

/// Guests of several tests at once would only take the cores from each other: those of one test do
/// already.
const THREADS: &str = "--test-threads=1";

/// What the tests boot.
const IMAGES: [Image; 5] = [
    Image::Compositor,
    Image::CompositorDebug,
    Image::Desktop,
    Image::App,
    Image::Bare,
];

/// Makes the images, and runs the tests.
pub(super) fn run(report: &mut Report, args: &VmArgs, filter: Option<&str>) -> Result<()> {
    let mut images = IMAGES.to_vec();
    if args.all {
        images.push(Image::BareOldest);
    }
    let accel =
        match vm::ensure(&images, Profile::Debug).and_then(|files| args.accel.resolve(&files)) {
            Ok(accel) => accel,
            Err(error) => {
                let what = format!("tests in virtual machines: {error:#}");
                // Where everything is meant to be there, a lack is a fault.
                if std::env::var_os("CI").is_some() {
                    report.fail(what);
                } else {
                    report.skip(format!("{what} (then: cargo xtask test --ring vm)"));
                }
                return Ok(());
            }
        };
    if !suite::binaries(report)? {
        return Ok(());
    }
    let mut command = suite::package("vm-tests");
    command.env(ACCEL_VARIABLE, accel);
    let mut options = vec![THREADS];
    if args.all {
        options.push("--include-ignored");
    }
    if args.shell {
        return with_shell(report, command, filter, &options);
    }
    suite::run(
        report,
        "tests in virtual machines",
        command,
        filter,
        &options,
    )
}

/// The same with the terminal as it is, for the shell of a failing test's guest.
fn with_shell(
    report: &mut Report,
    mut command: Command,
    filter: Option<&str>,
    options: &[&str],
) -> Result<()> {
    command
        .arg("--")
        .args(filter)
        .arg("--nocapture")
        .args(options);
    command.env(console::VARIABLE, "1");
    let status = command.status().context("cannot run cargo")?;
    if status.success() {
        report.pass(1);
    } else {
        report.fail("tests in virtual machines, see above");
    }
    Ok(())
}
