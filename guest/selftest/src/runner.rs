//! Runs tests one after the other, each bounded.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{ExitCode, exit};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::checks::{Context, Group, Skip, When};
use crate::tap::{Outcome, Tap, bail_out, diagnostic};

/// Longest time of one test. The longest takes a minute on an emulated processor that others want
/// as well; this only bounds a hang.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a test may take without its time being told.
const LONG: Duration = Duration::from_secs(2);

/// Exit status when the rest was not tried.
const BAILED_OUT: u8 = 2;

/// One test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Context) -> anyhow::Result<()>,
    pub(crate) when: When,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.group, self.name)
    }
}

/// The tests whose name contains one of the filters. Without any: all but those of groups that must
/// be named.
pub(crate) fn select(groups: &[Group], filters: &[String], keep_device: bool) -> Vec<Test> {
    groups
        .iter()
        .flat_map(Group::tests)
        .filter(|test| !(keep_device && test.when == When::Last))
        .filter(|test| {
            let name = test.to_string();
            let all = filters.is_empty() && test.when != When::Named;
            all || filters.iter().any(|part| name.contains(part.as_str()))
        })
        .collect()
}

/// Runs them all and prints the results.
pub(crate) fn run(device: &Path, tests: &[Test]) -> ExitCode {
    let mut tap = Tap::plan(tests.len());
    let context = match Context::new(device) {
        Ok(context) => context,
        Err(error) => {
            bail_out(&format!("{error:#}"));
            return ExitCode::from(BAILED_OUT);
        }
    };
    for name in context.features().missing() {
        diagnostic(&format!("the device has no {name}"));
    }
    let watchdog = watchdog();
    for test in tests {
        let _ = watchdog.send(test.to_string());
        let start = Instant::now();
        tap.result(&test.to_string(), &outcome(*test, &context));
        let took = start.elapsed();
        if took >= LONG {
            diagnostic(&format!("took {:.1} s", took.as_secs_f32()));
        }
    }
    drop(watchdog);
    if tap.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn outcome(test: Test, context: &Context) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| (test.run)(context))) {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(error)) => match error.downcast_ref::<Skip>() {
            Some(Skip(reason)) => Outcome::Skipped(reason.clone()),
            None => Outcome::Failed(format!("{error:?}")),
        },
        Err(panic) => Outcome::Failed(format!("panicked: {}", panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no text)")
}

/// Ends the program when a test, whose name it is told at its start, takes too long. A call that
/// hangs in the kernel cannot be ended in any other way.
fn watchdog() -> Sender<String> {
    let (sender, started) = channel::<String>();
    thread::spawn(move || {
        let Ok(mut current) = started.recv() else {
            return;
        };
        loop {
            match started.recv_timeout(LIMIT) {
                Ok(next) => current = next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    bail_out(&format!(
                        "{current}: no end after {} seconds",
                        LIMIT.as_secs()
                    ));
                    exit(BAILED_OUT.into());
                }
            }
        }
    });
    sender
}
