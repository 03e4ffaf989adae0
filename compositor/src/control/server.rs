//! Listens for control connections.

use std::cell::{Cell, OnceCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, Mode, PostAction, RegistrationToken};
use smithay::input::keyboard::XkbConfig;

use super::BoundSocket;
use super::connection::Connection;
use crate::keymap::{KeymapError, Typist};
use crate::state::Compositor;

/// Connections served at a time; further ones wait to be accepted. A person or
/// a test needs one or two.
const MAX_CONNECTIONS: usize = 16;

/// Rest before the next accept(2) when all places are taken, or when
/// descriptors or memory have run out, instead of a tight loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    connections: Cell<usize>,
    typist: OnceCell<Result<Typist, KeymapError>>,
}

impl Shared {
    /// Compiles the keymap on first use: most runs never type.
    pub(super) fn typist(&self) -> Result<&Typist, KeymapError> {
        self.typist
            .get_or_init(|| Typist::new(&XkbConfig::default()))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// A connection ended.
    pub(super) fn disconnected(&self) {
        self.connections
            .set(self.connections.get().saturating_sub(1));
    }
}

/// Makes a control socket at `path` and serves it on the compositor's loop.
/// The file is removed when the loop ends.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(compositor: &Compositor, path: &Path) -> io::Result<()> {
    let socket = BoundSocket::bind(path)?;
    let shared = Rc::new(Shared::default());
    let token: Rc<OnceCell<RegistrationToken>> = Rc::default();
    let own = Rc::clone(&token);
    let inserted = compositor
        .handle()
        .insert_source(
            Generic::new(socket, Interest::READ, Mode::Level),
            move |_, socket, compositor| {
                if shared.connections.get() >= MAX_CONNECTIONS {
                    tracing::warn!(
                        "{MAX_CONNECTIONS} control connections are open, the next one waits"
                    );
                    return Ok(pause(compositor, own.get().copied()));
                }
                match socket.accept() {
                    Ok(stream) => {
                        shared.connections.set(shared.connections.get() + 1);
                        if let Err(error) =
                            Connection::serve(stream, Rc::clone(&shared), compositor)
                        {
                            tracing::warn!(%error, "control connection not served");
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a control connection");
                        return Ok(pause(compositor, own.get().copied()));
                    }
                }
                Ok(PostAction::Continue)
            },
        )
        .map_err(|error| io::Error::other(error.to_string()))?;
    token.get_or_init(|| inserted);
    Ok(())
}

/// Stops listening for a moment.
fn pause(compositor: &Compositor, token: Option<RegistrationToken>) -> PostAction {
    let Some(token) = token else {
        return PostAction::Continue;
    };
    let timer = Timer::from_duration(ACCEPT_PAUSE);
    let again = compositor
        .handle()
        .insert_source(timer, move |_, (), compositor| {
            if let Err(error) = compositor.handle().enable(&token) {
                tracing::error!(%error, "the control socket stays closed");
            }
            TimeoutAction::Drop
        });
    if again.is_ok() {
        PostAction::Disable
    } else {
        PostAction::Continue
    }
}
