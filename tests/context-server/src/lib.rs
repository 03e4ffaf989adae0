//! A Wayland server of tests that knows nothing but `wp_security_context_v1`, and says by which
//! context each of its clients came.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wayland_protocols::wp::security_context::v1::server::{
    wp_security_context_manager_v1::{self, WpSecurityContextManagerV1},
    wp_security_context_v1::{self, WpSecurityContextV1},
};
use wayland_server::backend::ClientData;
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, New, Resource,
};

/// What a context says of its clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Its sandbox engine.
    pub engine: Option<String>,
    /// Its app id.
    pub app_id: Option<String>,
    /// Its instance id.
    pub instance_id: Option<String>,
}

/// A context that clients can come by.
#[derive(Debug)]
struct Committed {
    listener: UnixListener,
    close: OwnedFd,
    labels: Labels,
}

/// A context in the making.
#[derive(Debug, Default)]
struct Draft {
    fds: Option<(OwnedFd, OwnedFd)>,
    labels: Labels,
}

/// Drafts are shared with their resources.
type SharedDraft = std::sync::Mutex<Draft>;

#[derive(Debug)]
struct Nothing;

impl ClientData for Nothing {}

/// The server.
#[derive(Debug)]
pub struct Server {
    display: Display<State>,
    state: State,
    listeners: Vec<UnixListener>,
}

/// What its handlers know.
#[derive(Debug, Default)]
struct State {
    contexts: Vec<Committed>,
    /// Refuses each context.
    refuses: bool,
}

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Security contexts.
    Contexts,
    /// Security contexts, of which it refuses each.
    Refusal,
    /// Nothing at all.
    Nothing,
}

impl Server {
    /// A server without clients.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(offer: Offer) -> anyhow::Result<Self> {
        let display = Display::new()?;
        if offer != Offer::Nothing {
            let handle = display.handle();
            handle.create_global::<State, WpSecurityContextManagerV1, ()>(1, ());
        }
        Ok(Self {
            display,
            state: State {
                contexts: Vec::new(),
                refuses: offer == Offer::Refusal,
            },
            listeners: Vec::new(),
        })
    }

    /// Accepts clients without a context here as well.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking.
    pub fn listen(&mut self, listener: UnixListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// A connection of a client without a context.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn connect(&mut self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        self.insert(ours)?;
        Ok(theirs)
    }

    fn insert(&mut self, stream: UnixStream) -> io::Result<()> {
        let mut handle = self.display.handle();
        handle.insert_client(stream, Arc::new(Nothing)).map(drop)
    }

    /// How many contexts there are.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.state.contexts.len()
    }

    /// Waits for something to do, and does it; the labels of clients that came, `None` of those
    /// without a context.
    ///
    /// # Errors
    /// Something of the server itself fails.
    pub fn turn(&mut self, timeout: PollTimeout) -> io::Result<Vec<Option<Labels>>> {
        let display = self.display.backend().poll_fd().try_clone_to_owned()?;
        let contexts = self.state.contexts.iter();
        let fds = std::iter::once(display.as_fd())
            .chain(self.listeners.iter().map(AsFd::as_fd))
            .chain(contexts.flat_map(|context| [context.listener.as_fd(), context.close.as_fd()]));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll(&mut fds, timeout)?;
        let came = self.accept()?;
        self.display.dispatch_clients(&mut self.state)?;
        self.display.flush_clients()?;
        self.state
            .contexts
            .retain(|context| !hung_up(&context.close));
        Ok(came)
    }

    fn accept(&mut self) -> io::Result<Vec<Option<Labels>>> {
        let mut came = Vec::new();
        for listener in &self.listeners {
            while let Some(stream) = next(listener)? {
                came.push((stream, None));
            }
        }
        for context in &self.state.contexts {
            while let Some(stream) = next(&context.listener)? {
                came.push((stream, Some(context.labels.clone())));
            }
        }
        let insert = |(stream, labels)| self.insert(stream).map(|()| labels);
        came.into_iter().map(insert).collect()
    }
}

/// A client that waits.
fn next(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    match listener.accept() {
        Ok((stream, _)) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn hung_up(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

/// What compositors look at before they take a listening socket.
fn listens(fd: BorrowedFd<'_>) -> bool {
    use nix::sys::socket::{getsockopt, sockopt::AcceptConn};
    getsockopt(&fd, AcceptConn).unwrap_or(false)
}

impl GlobalDispatch<WpSecurityContextManagerV1, ()> for State {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpSecurityContextManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<WpSecurityContextManagerV1, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        manager: &WpSecurityContextManagerV1,
        request: wp_security_context_manager_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let wp_security_context_manager_v1::Request::CreateListener {
            id,
            listen_fd,
            close_fd,
        } = request
        else {
            return;
        };
        if !listens(listen_fd.as_fd()) {
            let code = wp_security_context_manager_v1::Error::InvalidListenFd;
            manager.post_error(code, "not a listening socket");
        }
        let draft = Draft {
            fds: Some((listen_fd, close_fd)),
            labels: Labels::default(),
        };
        init.init(id, SharedDraft::new(draft));
    }
}

impl Dispatch<WpSecurityContextV1, SharedDraft> for State {
    fn request(
        state: &mut Self,
        _: &Client,
        context: &WpSecurityContextV1,
        request: wp_security_context_v1::Request,
        draft: &SharedDraft,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        use wp_security_context_v1::{Error, Request};
        let mut draft = draft.lock().unwrap_or_else(|error| error.into_inner());
        let (place, value) = match request {
            Request::SetSandboxEngine { name } => (&mut draft.labels.engine, name),
            Request::SetAppId { app_id } => (&mut draft.labels.app_id, app_id),
            Request::SetInstanceId { instance_id } => (&mut draft.labels.instance_id, instance_id),
            Request::Commit if state.refuses => {
                context.post_error(Error::InvalidMetadata, "no context pleases this server");
                return;
            }
            Request::Commit => {
                let Some((listener, close)) = draft.fds.take() else {
                    context.post_error(Error::AlreadyUsed, "committed twice");
                    return;
                };
                let listener = UnixListener::from(listener);
                // Its other users do not mind: they only connect to it.
                if listener.set_nonblocking(true).is_ok() {
                    let labels = draft.labels.clone();
                    state.contexts.push(Committed {
                        listener,
                        close,
                        labels,
                    });
                }
                return;
            }
            _ => return,
        };
        if place.replace(value).is_some() {
            context.post_error(Error::AlreadySet, "set twice");
        }
    }
}
