//! Clients, relays and a compositor in one process, moved on by turns.

use std::cell::RefCell;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use sommelier_compat::conn::{Connection as Relay, End, Host, HostStream, SocketStream};
use sommelier_compat::shm::memory::{Allocator, MemfdAllocator};
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_registry::WlRegistry;
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle};
use wayland_server::Display;
use wayland_server::backend::{ClientData, ClientId, DisconnectReason};

use crate::client::Client;
use crate::server::{Server, announce};

/// Turns after which nothing more happens by itself: the longest chain of
/// causes is a request, its answer, the request that follows and its answer,
/// with two turns for each.
const TURNS: usize = 12;

/// A host whose connections end in this process.
#[derive(Debug, Default)]
pub(crate) struct TestHost {
    accepted: RefCell<Vec<UnixStream>>,
}

impl Host for TestHost {
    fn connect(&self) -> io::Result<Box<dyn HostStream>> {
        let (ours, theirs) = UnixStream::pair()?;
        self.accepted.borrow_mut().push(theirs);
        Ok(Box::new(SocketStream::from(ours)))
    }

    fn allocator(&self) -> Rc<dyn Allocator> {
        Rc::new(MemfdAllocator)
    }
}

struct NoData;

impl ClientData for NoData {
    fn initialized(&self, _: ClientId) {}
    fn disconnected(&self, _: ClientId, _: DisconnectReason) {}
}

/// A relay, until it ends.
pub(crate) struct Link {
    relay: Option<Relay>,
    /// Why it ended.
    pub end: Option<End>,
}

impl Link {
    fn turn(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        let result = relay
            .client_readable()
            .and_then(|()| relay.host_readable())
            .and_then(|()| relay.turn());
        if let Err(end) = result {
            self.relay = None;
            self.end = Some(end);
        }
    }
}

/// A client with its state.
pub(crate) struct Peer {
    pub connection: Connection,
    pub queue: EventQueue<Client>,
    pub registry: WlRegistry,
    pub state: Client,
}

impl Peer {
    pub(crate) fn handle(&self) -> QueueHandle<Client> {
        self.queue.handle()
    }

    /// Binds the global of an interface in the version announced.
    pub(crate) fn bind<I>(&self) -> I
    where
        I: Proxy + 'static,
        Client: Dispatch<I, ()>,
    {
        let wanted = I::interface().name;
        let global = self
            .state
            .globals
            .iter()
            .find(|(_, interface, _)| interface == wanted);
        let (name, _, version) = global.unwrap_or_else(|| panic!("{wanted} is not announced"));
        self.registry.bind(*name, *version, &self.handle(), ())
    }

    /// The error that ended the connection: `(interface, code, text)`.
    pub(crate) fn error(&self) -> Option<(String, u32, String)> {
        self.connection
            .protocol_error()
            .map(|error| (error.object_interface, error.code, error.message))
    }

    fn turn(&mut self) {
        let _ = self.queue.dispatch_pending(&mut self.state);
        match self.connection.flush() {
            Ok(()) | Err(WaylandError::Io(_) | WaylandError::Protocol(_)) => {}
        }
        if let Some(guard) = self.connection.prepare_read() {
            let _ = guard.read();
        }
        let _ = self.queue.dispatch_pending(&mut self.state);
    }
}

pub(crate) struct Fixture {
    display: Display<Server>,
    pub server: Server,
    pub host: TestHost,
    pub links: Vec<Link>,
    pub peers: Vec<Peer>,
}

impl Fixture {
    /// A compositor without clients.
    pub(crate) fn empty() -> Self {
        let display = Display::new().expect("a display");
        announce(&display);
        Self {
            display,
            server: Server::default(),
            host: TestHost::default(),
            links: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// A compositor with one client that knows the globals.
    pub(crate) fn new() -> Self {
        let mut fixture = Self::empty();
        fixture.add_client();
        fixture
    }

    /// Adds a client that knows the globals; returns its index.
    pub(crate) fn add_client(&mut self) -> usize {
        let socket = self.add_socket();
        let connection = Connection::from_socket(socket).expect("a client");
        let queue = connection.new_event_queue();
        let registry = connection.display().get_registry(&queue.handle(), ());
        let state = Client::default();
        self.peers.push(Peer {
            connection,
            queue,
            registry,
            state,
        });
        self.settle();
        self.peers.len() - 1
    }

    /// Adds a relay; returns the socket of its client.
    pub(crate) fn add_socket(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let relay = Relay::new(ours, &self.host).expect("a relay");
        self.links.push(Link {
            relay: Some(relay),
            end: None,
        });
        for socket in self.host.accepted.borrow_mut().drain(..) {
            let inserted = self
                .display
                .handle()
                .insert_client(socket, Arc::new(NoData));
            inserted.expect("a compositor's client");
        }
        theirs
    }

    /// The only client.
    pub(crate) fn peer(&mut self) -> &mut Peer {
        &mut self.peers[0]
    }

    /// One turn of everybody.
    pub(crate) fn turn(&mut self) {
        for peer in &mut self.peers {
            peer.turn();
        }
        for link in &mut self.links {
            link.turn();
        }
        self.display
            .dispatch_clients(&mut self.server)
            .expect("the compositor lives");
        self.display.flush_clients().expect("the compositor lives");
        for link in &mut self.links {
            link.turn();
        }
        for peer in &mut self.peers {
            peer.turn();
        }
    }

    /// Turns until nothing is under way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS {
            self.turn();
        }
    }
}
