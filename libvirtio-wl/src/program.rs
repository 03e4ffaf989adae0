//! What the `main` function of each program does around its work (feature `program`).

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// Environment variable with the log filter, as `tracing-subscriber` reads it.
pub const LOG_VARIABLE: &str = "VIRTIO_WL_LOG";

/// Logs to standard error what [`LOG_VARIABLE`] lets through, or `default` without it.
///
/// To be called once, and by nobody but `main`.
pub fn log(default: &str) {
    let asked = EnvFilter::try_from_env(LOG_VARIABLE);
    let refused = asked.as_ref().err().map(ToString::to_string);
    install(asked.unwrap_or_else(|_| default.into()));
    // A debugging aid that was mistyped is no reason not to serve.
    if let Some(refused) = refused.filter(|_| env::var_os(LOG_VARIABLE).is_some()) {
        tracing::warn!(refused, "{LOG_VARIABLE} is not a log filter");
    }
}

/// Logs to standard error what `filter` lets through, whatever the environment says.
pub fn log_only(filter: &str) {
    install(filter.into());
}

fn install(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Raises the soft limit of open files to the hard one. Each connection takes some, what it sends
/// more, and the usual 1024 are few.
pub fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// The exit status of a program, whose error is told in one line.
pub fn exit_code<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells an error and its causes in one line of standard error.
///
/// For `anyhow::Error`, which prints its causes in the alternate format.
pub fn report(error: &impl Display) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}
