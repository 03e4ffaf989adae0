//! A model of the device, the guest and the clock around a desk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use virtio_wl::host::control::{Reply, SocketEntry};
use virtio_wl::label::Colour;

use super::super::*;
use super::TIMEOUT;
use crate::ids;

/// A connection: whose it is.
pub(super) type Client = VmName;

pub(super) struct Device {
    pub(super) table: BTreeMap<String, Rc<Client>>,
    pub(super) listening: Option<PathBuf>,
    pub(super) capacity: usize,
    next: u64,
}

impl Device {
    pub(super) fn new() -> Self {
        Self {
            table: BTreeMap::new(),
            listening: None,
            capacity: MAX_WAITING,
            next: 0,
        }
    }

    /// An entry that nobody watches over.
    pub(super) fn left_behind(&mut self) -> Weak<Client> {
        let client = Rc::new(VmName::new("before").unwrap());
        let weak = Rc::downgrade(&client);
        self.insert(client);
        weak
    }

    fn insert(&mut self, client: Rc<Client>) -> String {
        let name = format!("wl-conn-{}", self.next);
        self.next += 1;
        self.table.insert(name.clone(), client);
        name
    }

    fn reply(&mut self, request: &Request, connection: Option<Rc<Client>>) -> Reply {
        match request {
            Request::Add(Add { name, path: None }) => {
                assert_eq!(name, NAME_PATTERN);
                let connection = connection.expect("a connection comes along");
                if self.table.len() >= self.capacity {
                    return Reply::error(ErrorKind::TooMany, "full");
                }
                let name = self.insert(connection);
                Reply::Added(Added { name })
            }
            Request::Add(Add { name, path }) => {
                assert_eq!(name, ACCEPT_CONTEXT);
                if self.listening.is_some() {
                    return Reply::error(ErrorKind::NameInUse, "in use");
                }
                self.listening.clone_from(path);
                Reply::Added(Added { name: name.clone() })
            }
            Request::Remove(Remove { name }) => {
                let listening = name == ACCEPT_CONTEXT && self.listening.take().is_some();
                if listening || self.table.remove(name).is_some() {
                    return Reply::Removed(Removed { name: name.clone() });
                }
                Reply::error(ErrorKind::NotFound, "no such name")
            }
            Request::List(list) => {
                assert!(list.sockets_only);
                let entry = |name: &String| SocketEntry {
                    name: name.clone(),
                    kind: SocketKind::Connected,
                };
                Reply::Listing(Box::new(Listing {
                    sockets: self.table.keys().map(entry).collect(),
                    ..Listing::default()
                }))
            }
            Request::Queues(_) => panic!("not the proxy's business"),
        }
    }
}

pub(super) fn labels(names: &[&str]) -> impl Iterator<Item = Label> {
    let label = |name: &&str| {
        let name = VmName::new(*name).unwrap();
        Label {
            id: ids::from_name(&name),
            name,
            colour: Colour::from_rgb(1, 2, 3),
        }
    };
    names.iter().map(label).collect::<Vec<_>>().into_iter()
}

pub(super) struct World {
    pub(super) desk: Desk<Client>,
    pub(super) device: Device,
    pub(super) announced: Vec<AcceptRecord>,
    /// Claimed: the guest has them.
    pub(super) guest: Vec<(String, Rc<Client>)>,
    pub(super) clients: Vec<Weak<Client>>,
    pub(super) now: Instant,
}

impl World {
    pub(super) fn new(vms: &[&str]) -> Self {
        let mut desk = Desk::new("/announce".into(), TIMEOUT);
        desk.set_vms(labels(vms));
        Self {
            desk,
            device: Device::new(),
            announced: Vec::new(),
            guest: Vec::new(),
            clients: Vec::new(),
            now: Instant::now(),
        }
    }

    /// With device and reader.
    pub(super) fn ready(vms: &[&str]) -> Self {
        let mut world = Self::new(vms);
        world.desk.device_up();
        world.desk.reader_up();
        world.run();
        world
    }

    pub(super) fn accept(&mut self, vm: &str) -> Weak<Client> {
        let vm = VmName::new(vm).unwrap();
        let before = self.clients.len();
        self.desk.accepted(&vm, vm.clone());
        let state = self.desk.vms.get(&vm).expect("a VM of this desk");
        let in_hand = state.in_hand.iter();
        let queued = self.desk.outbox.iter().filter_map(|(due, _)| match due {
            Due::Add { connection, .. } => Some(connection),
            _ => None,
        });
        let newest = in_hand.chain(queued).last().expect("the one just accepted");
        self.clients.push(Rc::downgrade(newest));
        self.clients[before].clone()
    }

    /// One effect, carried out; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        match self.desk.next_effect() {
            None => return false,
            Some(Effect::Announce(record)) => self.announced.push(record),
            Some(Effect::Request {
                request,
                connection,
            }) => {
                let reply = self.device.reply(&request, connection);
                let answer = Answer::from(reply.encode().unwrap());
                self.desk.answer(&answer, self.now).unwrap();
            }
        }
        true
    }

    /// All that is to be done now.
    pub(super) fn run(&mut self) {
        self.desk.tick(self.now);
        while self.step() {}
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.run();
    }

    pub(super) fn claim(&mut self, name: &str) {
        let client = self.device.table.remove(name).expect("waiting");
        self.guest.push((name.to_owned(), client));
    }

    /// The device dies with all it had; the guest, too.
    pub(super) fn device_restart(&mut self) {
        self.device = Device::new();
        self.guest.clear();
        self.announced.clear();
        self.desk.device_down();
        self.desk.reader_down();
    }
}
