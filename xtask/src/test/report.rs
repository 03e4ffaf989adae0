//! Counting results, and showing them as they come.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cargo;

/// Lines shown of the log of a failed check.
const FAILED_TAIL: usize = 60;

/// What has passed, failed and been skipped so far.
#[derive(Debug)]
pub(crate) struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    logs: PathBuf,
}

impl Report {
    /// Nothing yet. Logs go to `test-logs` in the target directory.
    ///
    /// # Errors
    /// When that cannot be made.
    pub(crate) fn new() -> Result<Self> {
        let logs = cargo::target_dir()?.join("test-logs");
        fs::create_dir_all(&logs).context("cannot make the directory for logs")?;
        Ok(Self {
            passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
            logs,
        })
    }

    /// `count` tests have passed.
    pub(crate) fn pass(&mut self, count: usize) {
        self.passed += count;
    }

    /// A test has failed.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failed.push(what.into());
    }

    /// A test cannot run here.
    pub(crate) fn skip(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("  skipped: {what}");
        self.skipped.push(what);
    }

    /// One check that is a whole command: passed when it exits with status 0.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn check(&mut self, name: &str, command: Command) -> Result<bool> {
        let started = Instant::now();
        let mut tail = Vec::new();
        let status = self.run_logged(name, command, |line| tail.push(line.to_owned()))?;
        let seconds = started.elapsed().as_secs();
        if status.success() {
            println!("  {name}: passed ({seconds} s)");
            self.pass(1);
        } else {
            for line in &tail[tail.len().saturating_sub(FAILED_TAIL)..] {
                println!("    {line}");
            }
            println!("  {name}: FAILED, {status} ({seconds} s)");
            self.fail(name);
        }
        Ok(status.success())
    }

    /// Runs a command with both its outputs in one log, each line also given to `see`.
    ///
    /// # Errors
    /// When it cannot be run or its output not be read.
    pub(crate) fn run_logged(
        &self,
        name: &str,
        mut command: Command,
        mut see: impl FnMut(&str),
    ) -> Result<ExitStatus> {
        let path = self
            .logs
            .join(format!("{}.log", name.replace([' ', '/'], "-")));
        let mut log = File::create(&path).context("cannot make the log")?;
        let (read, write) = std::io::pipe().context("pipe")?;
        command
            .stdin(Stdio::null())
            .stdout(write.try_clone().context("pipe")?)
            .stderr(write);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        // Our copies of the write end go with it, or the pipe would never end.
        drop(command);
        let mut reader = BufReader::new(read);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).context("output")? > 0 {
            log.write_all(&line).context("log")?;
            see(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        child.wait().context("waitpid")
    }

    /// Prints the counts; whether all has passed.
    pub(crate) fn finish(self, took: Duration) -> ExitCode {
        println!(
            "\ntook {} s; logs in {}",
            took.as_secs(),
            self.logs.display()
        );
        for what in &self.skipped {
            println!("skipped: {what}");
        }
        for what in &self.failed {
            println!("FAILED: {what}");
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        println!("{} passed, {failed} failed, {skipped} skipped", self.passed);
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
