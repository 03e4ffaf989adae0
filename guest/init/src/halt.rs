//! `vm-halt`: powering off from inside of the guest.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use anyhow::Context;
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};
use guest_control::Role;

use crate::init::{Ending, Init};
use crate::service::DIRECTORY;

/// Name under which this program only asks init to power off.
pub(crate) const COMMAND: &str = "vm-halt";

fn socket() -> PathBuf {
    [DIRECTORY, "halt"].iter().collect()
}

/// Asks init to power off, and waits for that.
///
/// # Errors
/// When no init of ours runs, or we may not ask.
pub(crate) fn ask() -> anyhow::Result<()> {
    let path = socket();
    let mut init = UnixStream::connect(&path)
        .with_context(|| format!("cannot reach init at {}", path.display()))?;
    // It never says anything: the connection ends with the guest, or we do.
    let _ = init.read(&mut [0]);
    Ok(())
}

impl Init {
    /// Lets those who may halt this guest do so: connecting is enough. In an app VM everybody may,
    /// as its user owns it, in others root.
    ///
    /// # Errors
    /// Whatever making the socket gives.
    pub(crate) fn listen_for_halt(&self, role: Role) -> anyhow::Result<()> {
        let path = socket();
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let mode = if role == Role::App { 0o666 } else { 0o600 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        // Kept, or the asking side would think that the guest has ended.
        let mut asked = None;
        let source = Generic::new(listener, Interest::READ, Mode::Level);
        let inserted = self
            .handle
            .insert_source(source, move |_, listener, init: &mut Self| {
                if let Ok((stream, _)) = listener.accept() {
                    tracing::info!("{COMMAND} was called");
                    asked.get_or_insert(stream);
                    init.end(Ending::PowerOff);
                }
                Ok(PostAction::Continue)
            });
        inserted.map_err(|error| error.error)?;
        Ok(())
    }
}
