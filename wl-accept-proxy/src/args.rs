//! The command line.

use std::path::PathBuf;

/// Accepts Wayland clients on the host and hands them to the compositor's VM.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Configuration file (TOML); read again on SIGHUP
    #[arg(long, value_name = "PATH")]
    pub(crate) config: PathBuf,

    /// Keep all rights of the user, for debugging
    #[arg(long)]
    pub(crate) no_sandbox: bool,
}
