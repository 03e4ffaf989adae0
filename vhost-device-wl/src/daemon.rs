//! The process: sockets, signals, and the loop that accepts frontends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use virtio_wl::host::control::bind_listener;
use virtio_wl::host::listener::{ListenError, Listener};
use virtio_wl::host::sandbox::SandboxError;
use virtio_wl::program;

use crate::config::Config;
use crate::control::Control;
use crate::core::account::MemoryAccount;
use crate::core::quota::Quota;
use crate::core::watch::Waker;
use crate::sandbox;
use crate::server::{Server, Settings, Shared};

/// Why the device cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The vhost-user socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The control socket.
    #[error("cannot listen on {path} for control requests")]
    Control {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Memory cannot be accounted for.
    #[error("cannot watch memory (raise fs.inotify.max_user_instances?)")]
    Account(#[source] io::Error),
    /// Rights could not be given up.
    #[error("cannot enter the sandbox (--no-sandbox goes without)")]
    Sandbox(#[from] SandboxError),
    /// A system call that does not fail on a sound machine.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn system(action: &'static str) -> impl FnOnce(nix::Error) -> DaemonError {
    move |errno| DaemonError::System {
        action,
        source: errno.into(),
    }
}

/// Serves until a signal says to stop.
///
/// # Errors
/// [`DaemonError`].
pub fn run(config: Config) -> Result<(), DaemonError> {
    // Before any thread starts, so that all inherit the mask.
    let signals = signals()?;
    program::raise_file_limit();
    let account = MemoryAccount::new(config.max_memory).map_err(DaemonError::Account)?;
    let socket = Listener::bind(&config.socket, config.socket_mode, config.socket_owner)?;
    let control = match &config.control {
        Some(path) => Some(ControlSocket::bind(path)?),
        None => None,
    };
    if config.sandbox {
        let own: Vec<&Path> = [Some(&config.socket), config.control.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        sandbox::enter(&own)?;
    }
    let shared = Shared::new(
        Arc::new(config.names),
        Quota::new(config.limits),
        account,
        Settings {
            max_frontends: config.max_frontends,
            foreign: config.foreign,
            features: config.features,
            memfd_sock: config.memfd_sock,
        },
    );
    if let Some(control) = &control {
        serve_control(control, &shared)?;
    }
    let gone = Waker::new().map_err(|source| DaemonError::System {
        action: "make an eventfd",
        source,
    })?;
    let listener = socket
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| DaemonError::System {
            action: "duplicate a socket",
            source,
        })?;
    let mut server = Server::new(UnixListener::from(listener), shared, gone.clone());
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "cannot tell the service manager that this is ready");
    }
    accept_until_signal(&mut server, &gone, &signals)
    // The sockets' files are removed here. Workers are not waited for: one may be
    // waiting for a frontend that does not answer, and the process ends anyway.
}

fn accept_until_signal(
    server: &mut Server,
    gone: &Waker,
    signals: &SignalFd,
) -> Result<(), DaemonError> {
    // After a failure to serve one: wait for another to leave, rather than to fail
    // again and again for want of descriptors.
    let mut stalled = false;
    loop {
        let interest = if server.has_room() && !stalled {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(gone.fd(), PollFlags::POLLIN),
            PollFd::new(server.socket(), interest),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(errno) => return Err(system("poll")(errno)),
        }
        let ready = fds.map(|fd| fd.any() == Some(true));
        if ready[0] {
            tracing::info!("told to stop");
            return Ok(());
        }
        if ready[1] {
            gone.acknowledge();
            stalled = false;
        }
        if ready[2]
            && let Err(error) = server.accept()
        {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "frontend not served");
            stalled = server.is_serving();
        }
    }
}

fn signals() -> Result<SignalFd, DaemonError> {
    let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    set.thread_block().map_err(system("block signals"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(system("make a signalfd"))
}

fn serve_control(control: &ControlSocket, shared: &Arc<Shared>) -> Result<(), DaemonError> {
    let failed = |source| DaemonError::System {
        action: "serve the control socket",
        source,
    };
    let listener = control.socket.try_clone().map_err(failed)?;
    let control = Control::new(listener, Arc::clone(shared));
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            if let Err(error) = control.run() {
                tracing::error!(%error, "the control socket is not served any more");
            }
        })
        .map_err(failed)?;
    Ok(())
}

/// The listening control socket, whose file goes with it.
#[derive(Debug)]
struct ControlSocket {
    socket: OwnedFd,
    path: PathBuf,
}

impl ControlSocket {
    fn bind(path: &Path) -> Result<Self, DaemonError> {
        let failed = |source| DaemonError::Control {
            path: path.to_owned(),
            source,
        };
        remove_stale(path).map_err(failed)?;
        Ok(ControlSocket {
            socket: bind_listener(path).map_err(failed)?,
            path: path.to_owned(),
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove socket");
        }
    }
}

/// Removes a control socket that nobody listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    match virtio_wl::host::control::Client::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}
