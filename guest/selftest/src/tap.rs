//! Writes the Test Anything Protocol, version 13.

use std::io::{Write, stdout};

/// Counts results and prints them.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    number: usize,
    failed: usize,
    skipped: usize,
}

/// How a test ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// Why it could not be tried.
    Skipped(String),
    /// What was wrong.
    Failed(String),
}

impl Tap {
    /// Announces so many tests.
    pub(crate) fn plan(count: usize) -> Self {
        line("TAP version 13");
        line(&format!("1..{count}"));
        Self::default()
    }

    /// Prints the line of one test.
    pub(crate) fn result(&mut self, name: &str, outcome: &Outcome) {
        self.number += 1;
        let number = self.number;
        match outcome {
            Outcome::Passed => line(&format!("ok {number} - {name}")),
            Outcome::Skipped(reason) => {
                self.skipped += 1;
                line(&format!("ok {number} - {name} # SKIP {reason}"));
            }
            Outcome::Failed(what) => {
                self.failed += 1;
                line(&format!("not ok {number} - {name}"));
                diagnostic(what);
            }
        }
    }

    /// Prints the totals; whether all passed.
    pub(crate) fn finish(self) -> bool {
        diagnostic(&format!(
            "{} passed, {} failed, {} skipped",
            self.number - self.failed - self.skipped,
            self.failed,
            self.skipped
        ));
        self.failed == 0
    }
}

/// A line for people.
pub(crate) fn diagnostic(text: &str) {
    for part in text.lines() {
        line(&format!("# {part}"));
    }
}

/// Ends everything: the rest cannot be tried.
pub(crate) fn bail_out(why: &str) {
    line(&format!("Bail out! {why}"));
}

/// At once, so that the log of a guest that dies is complete.
fn line(text: &str) {
    let mut out = stdout().lock();
    // Nobody may be listening any more; the exit status still tells.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
