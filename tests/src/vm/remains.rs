//! What is kept of a VM whose test failed.
#![allow(
    clippy::print_stderr,
    reason = "why a guest failed belongs on the terminal"
)]

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::assets::Assets;
use super::guest::Guest;
use super::qemu::VmPaths;
use crate::process;

/// Lines shown of each log.
const TAIL: usize = 40;

/// Where the logs of one VM are, and where they are kept.
#[derive(Debug)]
pub(super) struct Remains {
    name: String,
    console: PathBuf,
    logs: PathBuf,
    kept: PathBuf,
}

impl Remains {
    /// How long a guest may take to give its kernel's log.
    pub(super) const LAST_WORDS: Duration = Duration::from_secs(10);

    pub(super) fn new(
        assets: &Assets,
        test: &str,
        name: &str,
        paths: &VmPaths,
        logs: &Path,
    ) -> Self {
        let test = test.replace("::", "-");
        Self {
            name: name.to_owned(),
            console: paths.console_log(),
            logs: logs.to_owned(),
            kept: assets.failures().join(test).join(name),
        }
    }

    /// The last lines of the console.
    pub(super) fn console_tail(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let name = format!("{} console", self.name);
        process::tail(&name, &String::from_utf8_lossy(&text), TAIL)
    }

    /// Keeps everything, and shows the ends of it.
    pub(super) fn keep(
        &self,
        guest: &RefCell<Guest>,
        kernel_log: Option<&str>,
        qemu: Option<ExitStatus>,
    ) {
        if let Some(status) = qemu {
            eprintln!("  {}: QEMU ended by itself: {status}", self.name);
        }
        let _ = fs::remove_dir_all(&self.kept);
        if let Err(error) = fs::create_dir_all(&self.kept) {
            eprintln!("cannot keep the logs of VM {}: {error}", self.name);
        }
        let show = |what: &str, text: &str| {
            let file = what.replace([' ', '/'], "-");
            let _ = fs::write(self.kept.join(file + ".log"), text);
            let name = format!("{} {what}", self.name);
            eprint!("{}", process::tail(&name, text, TAIL));
        };
        let console = fs::read(&self.console).unwrap_or_default();
        show("console", &String::from_utf8_lossy(&console));
        show("kernel", kernel_log.unwrap_or("no answer"));
        if let Ok(guest) = guest.try_borrow() {
            for (index, program) in guest.programs().enumerate() {
                let word = program.argv.first().map_or("", String::as_str);
                let word = word.rsplit('/').next().unwrap_or_default();
                let text = format!(
                    "{:?}: {:?}\n{}\n{}",
                    program.argv, program.ended, program.stdout, program.stderr
                );
                show(&format!("program {index} {word}"), &text);
            }
        }
        for log in crate::leak::files(&self.logs).unwrap_or_default() {
            let Some(name) = log.file_name() else {
                continue;
            };
            let _ = fs::copy(&log, self.kept.join(name));
        }
        eprintln!("  {}: all of it is in {}", self.name, self.kept.display());
    }
}
