//! Everything that can be checked on this machine, with counts and every skip with its reason.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::deps;

mod checks;
mod fuzz;
mod report;
mod suite;
mod units;
mod vms;

use report::Report;

/// Run every check and test, with counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this
    filter: Option<String>,
    /// Only this ring; repeatable (default: all, or the rings of tests with a filter)
    #[arg(long, value_enum)]
    ring: Vec<Ring>,
    /// How long each fuzz target runs, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    fuzz_time: u32,
    #[command(flatten)]
    vms: vms::VmArgs,
}

/// A part of the tests, cheap ones first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Ring {
    /// Formatting, lints, documentation, licences
    Checks,
    /// Tests beside the code
    Unit,
    /// The real binaries together
    Processes,
    /// Real virtual machines
    Vm,
    /// Fuzz targets
    Fuzz,
}

impl Ring {
    /// What runs when no ring is asked for.
    const DEFAULT: [Self; 5] = [
        Self::Checks,
        Self::Unit,
        Self::Processes,
        Self::Vm,
        Self::Fuzz,
    ];
    /// The rings whose tests have names to filter by.
    const NAMED: [Self; 2] = [Self::Unit, Self::Processes];
}

/// Longest whole run on two cores that is still accepted without a word.
const TIME_BOX: Duration = Duration::from_secs(40 * 60);

/// Runs the tests; the exit status says whether all passed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    deps::require(deps::ALL)?;
    let rings: &[Ring] = match (&args.filter, args.ring.as_slice()) {
        (None, []) => &Ring::DEFAULT,
        (Some(_), []) => &Ring::NAMED,
        (_, chosen) => chosen,
    };
    let filter = args.filter.as_deref();
    let mut report = Report::new()?;
    for ring in rings {
        match ring {
            Ring::Checks => checks::run(&mut report)?,
            Ring::Unit => suite::unit(&mut report, filter)?,
            Ring::Processes => suite::processes(&mut report, filter)?,
            Ring::Vm => vms::run(&mut report, &args.vms, filter)?,
            Ring::Fuzz => fuzz::run(&mut report, args.fuzz_time)?,
        }
    }
    if filter.is_none() && started.elapsed() > TIME_BOX {
        println!(
            "note: this took longer than {} minutes",
            TIME_BOX.as_secs() / 60
        );
    }
    Ok(report.finish(started.elapsed()))
}
