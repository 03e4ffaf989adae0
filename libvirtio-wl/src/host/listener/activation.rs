//! Sockets that the service manager listens on for us (`sd_listen_fds`).

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::Listener;

/// Listening sockets inherited from the service manager, by name (`LISTEN_FDNAMES`).
#[derive(Debug, Default)]
pub struct Activated(HashMap<String, UnixListener>);

impl Activated {
    /// Takes them all. To be called once, before anything else opens descriptors.
    ///
    /// # Errors
    ///
    /// A descriptor is not a listening Unix stream socket, or there are not as many
    /// names as descriptors, or a name comes twice.
    pub fn from_env() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut inherited = ListenFd::from_env();
        let names: Vec<&str> = match inherited.len() {
            0 => Vec::new(),
            _ => names.split(':').collect(),
        };
        if names.len() != inherited.len() {
            return Err(io::Error::other(
                "LISTEN_FDNAMES does not name each of LISTEN_FDS",
            ));
        }
        let mut sockets = HashMap::new();
        for (index, name) in names.into_iter().enumerate() {
            let Some(socket) = inherited.take_unix_listener(index)? else {
                continue;
            };
            socket.set_nonblocking(true)?;
            if sockets.insert(name.to_owned(), socket).is_some() {
                return Err(io::Error::other(format!("two sockets are named {name:?}")));
            }
        }
        Ok(Self(sockets))
    }

    /// The socket of that name. Its file stays the service manager's.
    pub fn take(&mut self, name: &str) -> Option<Listener> {
        let socket = self.0.remove(name)?;
        Some(Listener {
            socket,
            _file: None,
        })
    }

    /// Closes those that nobody has taken, with a warning.
    pub fn close_rest(self) {
        for name in self.0.keys() {
            tracing::warn!(name, "inherited a socket of a VM that is not configured");
        }
    }
}
