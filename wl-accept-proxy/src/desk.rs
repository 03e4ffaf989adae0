//! Connections from accept to claim, without I/O.
//!
//! ```text
//!  accepted ──add──► device names it ──record──► announced ──guest opens it──► claimed
//!      ▲  (device away: back in hand)                │
//!      └──────────────                               └──time is over──► removed: closed
//! ```
//!
//! Generic over the connection, which it only holds. What is to be done comes out as
//! [`Effect`]s; what has happened goes in as calls, with the time.

mod vm;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use virtio_wl::accept_record::{ACCEPT_CONTEXT, AcceptRecord, ConnectionName};
use virtio_wl::host::control::{
    Add, Added, Answer, ControlError, ErrorKind, List, Listing, Remove, Removed, Request,
    SocketKind,
};
use virtio_wl::label::VmName;

use crate::config::Label;
use vm::Vm;
use waiting::{Waiting, WaitingList};

/// Most connections that wait to be claimed, of all VMs together: the usual backlog, and
/// what the device takes.
pub const MAX_WAITING: usize = 128;

/// Most of them of one VM, however few VMs there are: a compositor that does not keep up
/// is better noticed by who connects.
const MAX_SHARE: usize = 32;

/// What the device makes names of; the number never goes back.
const NAME_PATTERN: &str = "wl-conn-%d";

/// What names of that pattern start with.
const NAME_PREFIX: &str = "wl-conn-";

/// Requests sent and not answered at most. Unix sockets queue 10 packets by default.
const REQUEST_WINDOW: usize = 8;

/// How long until the table is looked at again, or a refused connection offered again,
/// while there is no room.
const AGAIN: Duration = Duration::from_millis(50);

/// Something for the caller to do.
#[derive(Debug)]
pub enum Effect<S> {
    /// Send this to the device, with the connection if there is one.
    Request {
        /// The request.
        request: Request,
        /// Held until the answer has come, too.
        connection: Option<Rc<S>>,
    },
    /// Write this to the compositor.
    Announce(AcceptRecord),
}

/// A request whose answer is due.
#[derive(Debug)]
enum Due<S> {
    /// The `wl-accept` entry: first the old one away, then the new one.
    Forget,
    Listen,
    Add {
        vm: VmName,
        connection: Rc<S>,
    },
    Remove {
        name: ConnectionName,
    },
    List,
}

/// All connections between accept and claim.
#[derive(Debug)]
pub struct Desk<S> {
    announce: PathBuf,
    timeout: Duration,
    vms: BTreeMap<VmName, Vm<S>>,
    waiting: WaitingList,
    /// To be sent, in order; `due` is what has been.
    outbox: VecDeque<(Due<S>, Request)>,
    due: VecDeque<Due<S>>,
    records: VecDeque<AcceptRecord>,
    /// The device's control socket is there.
    device: bool,
    /// Somebody reads the records.
    reader: bool,
    /// When to look again, while there is no room.
    again: Option<Instant>,
}

impl<S> Desk<S> {
    /// Nothing accepted; the device finds the records at `announce`, and a connection is
    /// closed when it has not been claimed within `timeout`.
    pub fn new(announce: PathBuf, timeout: Duration) -> Self {
        Self {
            announce,
            timeout,
            vms: BTreeMap::new(),
            waiting: WaitingList::default(),
            outbox: VecDeque::new(),
            due: VecDeque::new(),
            records: VecDeque::new(),
            device: false,
            reader: false,
            again: None,
        }
    }

    /// The VMs there are from now on. Connections of others that nobody has claimed yet
    /// are closed; new records of the others have their new colour.
    pub fn set_vms(&mut self, labels: impl Iterator<Item = Label>) {
        let mut old = std::mem::take(&mut self.vms);
        for label in labels {
            let vm = old.remove(&label.name);
            let in_hand = vm.map(|vm| vm.in_hand).unwrap_or_default();
            self.vms.insert(label.name.clone(), Vm { label, in_hand });
        }
        self.records
            .retain(|record| self.vms.contains_key(&record.vm_name));
        for name in self
            .waiting
            .take_of_strangers(|vm| self.vms.contains_key(vm))
        {
            self.remove(name);
        }
    }

    /// How long an unclaimed connection lives, for those accepted from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Where the device finds the records, from the next [`Desk::device_up`] on.
    pub fn set_announce(&mut self, path: PathBuf) {
        self.announce = path;
    }

    /// Whether a connection of `vm` may be accepted now.
    ///
    /// Each VM has an equal share of what may wait, so that no other's flood takes it.
    #[must_use]
    pub fn has_room(&self, vm: &VmName) -> bool {
        self.device && self.reader && self.count(vm) < self.share()
    }

    /// A connection has been accepted for `vm`.
    pub fn accepted(&mut self, vm: &VmName, connection: S) {
        if let Some(state) = self.vms.get_mut(vm) {
            state.in_hand.push_back(Rc::new(connection));
            self.offer(vm);
        }
    }

    /// The device's control socket is there.
    pub fn device_up(&mut self) {
        self.device = true;
        let name = || ACCEPT_CONTEXT.to_owned();
        // An entry of an earlier run of this program may be there, with another path.
        self.request(Due::Forget, Remove { name: name() });
        let path = Some(self.announce.clone());
        self.request(Due::Listen, Add { name: name(), path });
        // So may connections that nobody watches over any more.
        self.request(Due::List, List::sockets());
        let vms: Vec<_> = self.vms.keys().cloned().collect();
        for vm in vms {
            self.offer(&vm);
        }
    }

    /// The device is gone, and with it all it was given. What it has not confirmed is in
    /// hand again.
    pub fn device_down(&mut self) {
        self.device = false;
        self.again = None;
        self.waiting = WaitingList::default();
        self.records.clear();
        let unsent = self.outbox.drain(..).map(|(due, _)| due);
        let unconfirmed: Vec<_> = self.due.drain(..).chain(unsent).collect();
        for due in unconfirmed.into_iter().rev() {
            if let Due::Add { vm, connection } = due
                && let Some(vm) = self.vms.get_mut(&vm)
            {
                vm.in_hand.push_front(connection);
            }
        }
    }

    /// Somebody reads the records, from the first one that nobody has claimed.
    pub fn reader_up(&mut self) {
        self.reader = true;
        self.records = self.waiting.records().collect();
    }

    /// Nobody reads the records any more.
    pub fn reader_down(&mut self) {
        self.reader = false;
        self.records.clear();
    }

    /// An answer of the device. Answers come in the order of the requests.
    ///
    /// # Errors
    ///
    /// The device does not keep to the protocol; it should be left.
    pub fn answer(&mut self, answer: &Answer, now: Instant) -> Result<(), ControlError> {
        match self.due.pop_front() {
            None => Err(ControlError::Unexpected),
            Some(Due::Forget) => ignore_refusal(answer.parse::<Removed>()),
            Some(Due::Listen) => answer.parse::<Added>().map(drop),
            Some(Due::Remove { name }) => self.removed(name, answer),
            Some(Due::Add { vm, connection }) => self.added(&vm, connection, answer, now),
            Some(Due::List) => {
                let listing: Listing = answer.parse()?;
                self.listed(&listing, now);
                Ok(())
            }
        }
    }

    /// What is to be done now, until there is nothing.
    pub fn next_effect(&mut self) -> Option<Effect<S>> {
        if self.device
            && self.due.len() < REQUEST_WINDOW
            && let Some((due, request)) = self.outbox.pop_front()
        {
            let connection = match &due {
                Due::Add { connection, .. } => Some(connection.clone()),
                _ => None,
            };
            self.due.push_back(due);
            return Some(Effect::Request {
                request,
                connection,
            });
        }
        if !self.reader {
            return None;
        }
        self.records.pop_front().map(Effect::Announce)
    }

    /// Whether an answer of the device is due.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether exactly one answer is due: the one that the device now starts to owe.
    #[must_use]
    pub fn awaits_only_one(&self) -> bool {
        self.due.len() == 1
    }

    /// Closes what nobody has claimed in time, looks for room where there was none, and
    /// says when to do so again.
    pub fn tick(&mut self, now: Instant) -> Option<Instant> {
        for waiting in self.waiting.take_expired(now) {
            self.remove(waiting);
        }
        let full = self.device && self.vms.keys().any(|vm| self.count(vm) >= self.share());
        if !full && self.vms.values().all(|vm| vm.in_hand.is_empty()) {
            self.again = None;
        } else if self.device {
            let due = self.again.is_none_or(|again| again <= now);
            if due {
                self.again = now.checked_add(AGAIN);
                self.look();
            }
        }
        self.again.into_iter().chain(self.waiting.deadline()).min()
    }

    fn share(&self) -> usize {
        (MAX_WAITING / self.vms.len().max(1)).clamp(1, MAX_SHARE)
    }

    /// Connections of `vm` that are in hand, being added, or waiting.
    fn count(&self, vm: &VmName) -> usize {
        let of_vm = |due: &Due<S>| matches!(due, Due::Add { vm: of, .. } if of == vm);
        let in_hand = self.vms.get(vm).map_or(0, |vm| vm.in_hand.len());
        let sent = self.due.iter().filter(|due| of_vm(due)).count();
        let unsent = self.outbox.iter().filter(|(due, _)| of_vm(due)).count();
        in_hand + sent + unsent + self.waiting.count(vm)
    }

    fn request(&mut self, due: Due<S>, request: impl Into<Request>) {
        self.outbox.push_back((due, request.into()));
    }

    fn remove(&mut self, name: ConnectionName) {
        let request = Remove {
            name: name.to_string(),
        };
        self.request(Due::Remove { name }, request);
    }

    /// Offers what is in hand to the device.
    fn offer(&mut self, vm: &VmName) {
        if !self.device {
            return;
        }
        let Some(state) = self.vms.get_mut(vm) else {
            return;
        };
        for connection in std::mem::take(&mut state.in_hand) {
            let due = Due::Add {
                vm: vm.clone(),
                connection,
            };
            let name = NAME_PATTERN.to_owned();
            self.request(due, Add { name, path: None });
        }
    }

    /// Looks what has been claimed, and offers again what was refused for want of room.
    fn look(&mut self) {
        let pending = |due: &Due<S>| matches!(due, Due::List);
        let unsent = self.outbox.iter().map(|(due, _)| due);
        if !self.due.iter().chain(unsent).any(pending) {
            self.request(Due::List, List::sockets());
        }
        let vms: Vec<_> = self.vms.keys().cloned().collect();
        for vm in vms {
            self.offer(&vm);
        }
    }

    fn added(
        &mut self,
        vm: &VmName,
        connection: Rc<S>,
        answer: &Answer,
        now: Instant,
    ) -> Result<(), ControlError> {
        let added: Added = match answer.parse() {
            Ok(added) => added,
            Err(ControlError::Refused(refusal)) => {
                let state = self.vms.get_mut(vm);
                if let (ErrorKind::TooMany, Some(state)) = (refusal.kind, state) {
                    state.in_hand.push_back(connection);
                } else {
                    tracing::warn!(%vm, reason = %refusal, "the device refused a connection");
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let name = ConnectionName::new(added.name).map_err(|_| ControlError::Unexpected)?;
        let Some(state) = self.vms.get(vm) else {
            // Its VM has been taken out of the configuration meanwhile.
            self.remove(name);
            return Ok(());
        };
        let record = state.record(name);
        tracing::debug!(%vm, connection = %record.connection, "registered");
        if self.reader {
            self.records.push_back(record.clone());
        }
        self.waiting.push(Waiting {
            name: record.connection.clone(),
            record: Some(record),
            deadline: now + self.timeout,
        });
        Ok(())
    }

    fn removed(&mut self, name: ConnectionName, answer: &Answer) -> Result<(), ControlError> {
        let vm = self.waiting.forget(&name);
        let vm = vm.as_ref().map_or("none", VmName::as_str);
        match answer.parse::<Removed>() {
            Ok(_) => tracing::info!(vm, connection = %name, "closed, nobody has claimed it"),
            // The rule: the name is gone because the guest has opened it.
            Err(ControlError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn listed(&mut self, listing: &Listing, now: Instant) {
        let connected: HashSet<&str> = listing
            .sockets
            .iter()
            .filter(|socket| socket.kind == SocketKind::Connected)
            .map(|socket| socket.name.as_str())
            .collect();
        self.waiting
            .retain(|name| connected.contains(name.as_str()));
        // Left by an earlier run of this program: they get their time, too.
        for name in connected {
            let ours = name.starts_with(NAME_PREFIX);
            if let Ok(name) = ConnectionName::new(name)
                && ours
                && !self.waiting.contains(&name)
            {
                self.waiting.push(Waiting {
                    name,
                    record: None,
                    deadline: now + self.timeout,
                });
            }
        }
    }
}

fn ignore_refusal<T>(result: Result<T, ControlError>) -> Result<(), ControlError> {
    match result {
        Ok(_) | Err(ControlError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
