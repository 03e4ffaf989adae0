//! Running the tools of the system, with errors that say what to do.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Longest excerpt of a failed tool's words that is shown, in lines.
const SHOWN_LINES: usize = 15;

/// Debian packages of the tools that this program runs and that a small system may lack.
const PACKAGES: &[(&str, &str)] = &[
    ("apt-cache", "apt"),
    ("apt-get", "apt"),
    ("debugfs", "e2fsprogs"),
    ("dpkg-deb", "dpkg"),
    ("e2fsck", "e2fsprogs"),
    ("genext2fs", "genext2fs"),
    ("make", "make"),
    ("mmdebstrap", "mmdebstrap"),
    ("strip", "binutils"),
    ("tar", "tar"),
    ("tune2fs", "e2fsprogs"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Runs a tool to its end and returns what it wrote to standard output. Its standard input is empty.
///
/// # Errors
/// When the tool is missing, or fails; the error has the last lines it wrote.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = any_output(command)?;
    if !output.status.success() {
        let said = if output.stderr.is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        bail!(
            "{} failed ({}):\n{}",
            words(command),
            output.status,
            last_lines(&String::from_utf8_lossy(said))
        );
    }
    Ok(output.stdout)
}

/// Runs a tool whose exit status says more than yes or no.
///
/// # Errors
/// When the tool is missing.
pub(crate) fn any_output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null());
    command
        .output()
        .map_err(|error| cannot_run(command.get_program(), &error))
}

/// A tool meant for administrators: those are not in the search path of other users.
pub(crate) fn administrative(program: &str) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}

/// As [`output`], as text.
///
/// # Errors
/// As [`output`], and when the text is not UTF-8.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let bytes = output(command)?;
    String::from_utf8(bytes).with_context(|| format!("output of {}", words(command)))
}

/// The error for a tool that cannot be started.
pub(crate) fn cannot_run(program: &OsStr, error: &std::io::Error) -> anyhow::Error {
    let program = program.to_string_lossy();
    if error.kind() != ErrorKind::NotFound {
        return anyhow::anyhow!("cannot run {program}: {error}");
    }
    match PACKAGES.iter().find(|(tool, _)| *tool == program) {
        Some((_, package)) => {
            anyhow::anyhow!("{program} is missing (Debian package {package})")
        }
        None => anyhow::anyhow!("{program} is missing"),
    }
}

/// The program and its first arguments, for messages.
fn words(command: &Command) -> String {
    /// The rest is rarely needed to understand an error.
    const SHOWN_ARGUMENTS: usize = 6;
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    let args = command.get_args();
    words.extend(
        args.take(SHOWN_ARGUMENTS)
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    if command.get_args().len() > SHOWN_ARGUMENTS {
        words.push("...".to_owned());
    }
    words.join(" ")
}

/// The end of what a tool said: that is where the error is.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
