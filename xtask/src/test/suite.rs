//! `cargo test`, its results counted.

use std::process::Command;

use anyhow::Result;
use integration_tests::skip;

use super::report::Report;
use crate::cargo::cargo;
use crate::vm;

/// The packages whose tests run the real binaries.
const OF_PROCESSES: [(&str, &str); 2] = [
    ("integration-tests", "integration tests"),
    ("virtio-wl-capi", "tests of the C ABI"),
];

/// Tests beside the code of every package, and the examples in its documentation.
pub(super) fn unit(report: &mut Report, filter: Option<&str>) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    for (package, _) in OF_PROCESSES {
        command.args(["--exclude", package]);
    }
    command.args(["--exclude", "vm-tests"]);
    run(report, "unit tests", command, filter, &[])
}

/// The real binaries together.
pub(super) fn processes(report: &mut Report, filter: Option<&str>) -> Result<()> {
    if !binaries(report)? {
        return Ok(());
    }
    if let Err(error) = vm::libwayland::ensure() {
        let what = format!("servers on newer versions of libwayland: {error:#}");
        // Where everything is meant to be there, a lack is a fault.
        if std::env::var_os("CI").is_some() {
            report.fail(what);
        } else {
            report.skip(what);
        }
    }
    for (name, title) in OF_PROCESSES {
        run(report, title, package(name), filter, &[])?;
    }
    Ok(())
}

/// `cargo test` of one package, for [`run`].
pub(super) fn package(name: &str) -> Command {
    let mut command = cargo();
    command.args(["test", "--locked", "--package", name, "--no-fail-fast"]);
    command
}

/// Builds what the tests run, libraries for C among it; whether that went well.
pub(super) fn binaries(report: &mut Report) -> Result<bool> {
    let mut build = cargo();
    build.args(["build", "--locked", "--workspace"]);
    report.check("build of the binaries", build)
}

/// Counts of one `cargo test`.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    /// The file of tests that runs now.
    suite: String,
    /// Everything after libtest's `failures:`, to be shown at the end.
    failures: Vec<String>,
    in_failures: bool,
}

/// Runs one `cargo test`, with `options` for the tests themselves.
pub(super) fn run(
    report: &mut Report,
    name: &str,
    mut command: Command,
    filter: Option<&str>,
    options: &[&str],
) -> Result<()> {
    println!("{name}");
    // --show-output: a passed test that skipped itself has said so on its output.
    command.arg("--").args(filter).arg("--show-output");
    command.args(options);
    // The errors of tests say what was attempted; where they were made helps nobody.
    command.env("RUST_LIB_BACKTRACE", "0");
    let mut counts = Counts::default();
    let status = report.run_logged(name, command, |line| counts.see(line))?;
    for line in &counts.failures {
        println!("    {line}");
    }
    // Each skipped test has also been counted as passed by libtest.
    report.pass(counts.passed.saturating_sub(counts.skipped.len()));
    if !status.success() && counts.failed.is_empty() {
        report.fail(format!("{name}: {status}, see its log"));
    }
    counts
        .failed
        .into_iter()
        .for_each(|failed| report.fail(failed));
    counts
        .skipped
        .into_iter()
        .for_each(|skipped| report.skip(skipped));
    Ok(())
}

impl Counts {
    /// One line of cargo's and libtest's output.
    fn see(&mut self, line: &str) {
        let trimmed = line.trim_start();
        if let Some(suite) = trimmed
            .strip_prefix("Running ")
            .or(trimmed.strip_prefix("Doc-tests "))
        {
            // "unittests src/lib.rs (target/debug/deps/virtio_wl-0123abcd)"
            let file = suite
                .rsplit(['/', ' '])
                .next()
                .unwrap_or(suite)
                .trim_end_matches(')');
            file.split('-')
                .next()
                .unwrap_or(file)
                .clone_into(&mut self.suite);
            self.in_failures = false;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            println!(
                "  {}: {}",
                self.suite,
                result.split("; 0 measured").next().unwrap_or(result)
            );
            self.passed += count(result, " passed");
            self.in_failures = false;
        } else if let Some(skipped) = line.strip_prefix(skip::MARK) {
            self.skipped.push(skipped.to_owned());
        } else if let Some(test) = line.strip_prefix("test ") {
            self.see_test(test);
        } else if line.starts_with("error") {
            self.failures.push(line.to_owned());
        } else if line == "failures:" {
            self.in_failures = true;
        }
        if self.in_failures {
            self.failures.push(line.to_owned());
        }
    }

    /// `NAME ... ok`, `NAME ... FAILED`, `NAME ... ignored, REASON`.
    fn see_test(&mut self, line: &str) {
        if let Some(name) = line.strip_suffix(" ... FAILED") {
            self.failed.push(format!("{}: {name}", self.suite));
        } else if let Some((name, reason)) = line.split_once(" ... ignored") {
            let reason = reason.trim_start_matches(", ");
            let reason = if reason.is_empty() {
                "ignored without a reason"
            } else {
                reason
            };
            self.skipped
                .push(format!("{}: {name}: {reason}", self.suite));
            // Not among libtest's passed ones.
            self.passed += 1;
        }
    }
}

/// The number before `word` in `ok. 12 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> usize {
    let before = result.split(word).next().unwrap_or_default();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
