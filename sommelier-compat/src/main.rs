//! Entry point: arguments, logging, exit status.

use std::env;
use std::io::Write;
use std::process::exit;

use sommelier_compat::args::{self, Command, SOMMELIER_VERSION};
use sommelier_compat::run;
use virtio_wl::program;

fn main() {
    let parsed = args::parse(env::args_os().skip(1), |name| env::var_os(name));
    let config = match parsed {
        Ok(Command::Run(config)) => config,
        Ok(Command::Help) => print(&args::usage(), 0),
        Ok(Command::Version) => {
            let own = env!("CARGO_PKG_VERSION");
            print(
                &format!("Version: {SOMMELIER_VERSION} (virtio-wl {own})\n"),
                0,
            )
        }
        Err(error) => {
            let _ = write!(std::io::stderr(), "error: {error}\n\n{}", args::usage());
            exit(1);
        }
    };
    let level = match config.log_level {
        Some(..=-1) => "off",
        Some(0) => "error",
        Some(2) => "info",
        Some(3..) => "debug",
        Some(1) | None => "warn",
    };
    match config.log_level {
        Some(_) => program::log_only(level),
        None => program::log(level),
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match run::run(*config) {
        Ok(status) => exit(status),
        Err(error) => {
            program::report(&error);
            exit(run::exit_status(&error));
        }
    }
}

fn print(text: &str, status: i32) -> ! {
    let written = std::io::stdout().write_all(text.as_bytes());
    exit(if written.is_ok() { status } else { 1 })
}
