//! Ordinary Wayland sockets whose clients count as a VM: tests, development.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use anyhow::{Context, bail};
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};

use crate::config::TestSocket;
use crate::core::VmId;
use crate::state::Compositor;

/// Removes the socket's name when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "cannot remove socket");
        }
    }
}

/// Listens; the loop accepts from then on.
pub(crate) fn listen(
    compositor: &mut Compositor,
    socket: &TestSocket,
    vm: VmId,
) -> anyhow::Result<SocketFile> {
    let path = &socket.path;
    if UnixStream::connect(path).is_ok() {
        bail!(
            "{} is in use: another compositor listens there",
            path.display()
        );
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    listener.set_nonblocking(true)?;
    let file = SocketFile(path.clone());
    let (name, colour) = (socket.name.clone(), socket.colour);
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let accept = move |_,
                       listener: &mut calloop::generic::NoIoDrop<UnixListener>,
                       compositor: &mut Compositor| {
        match listener.accept() {
            Ok((stream, _)) => compositor.add_client(vm, &name, colour, Box::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::warn!(%error, "cannot accept a test client"),
        }
        Ok(PostAction::Continue)
    };
    compositor
        .handle()
        .insert_source(source, accept)
        .map_err(|error| anyhow::anyhow!("cannot watch {}: {error}", path.display()))?;
    Ok(file)
}
