//! A daemon's configuration file: read at its start, and again on SIGHUP.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use sd_notify::NotifyState;

#[cfg(test)]
mod tests;

/// Reads a file, and checks it with `parse`.
///
/// # Errors
///
/// [`LoadError`], naming the file.
pub fn load<C, E: Error + 'static>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<C, E>,
) -> Result<C, LoadError<E>> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|source| LoadError::Refused {
        path: path.to_owned(),
        source,
    })
}

/// Reads the file again and gives it to `apply`, while the service manager knows. A file
/// that cannot be used changes nothing.
pub fn reload<C, E: Error + 'static>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<C, E>,
    apply: impl FnOnce(C),
) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
    }
    match load(path, parse) {
        Ok(config) => apply(config),
        Err(error) => {
            let error: &dyn Error = &error;
            tracing::error!(error, "configuration not reloaded");
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E: Error + 'static> {
    /// The file cannot be read.
    #[error("cannot read configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its content makes no sense.
    #[error("configuration {path}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: E,
    },
}
