//! The VMs that are known, and their clients' connections.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use calloop::RegistrationToken;

use crate::bridge::LinkId;
use crate::core::{Size, VmId};
use crate::label::{Colour, VmName};
use crate::share::{self, Share};
use crate::state::VmInfo;
use crate::vm::{Vm, VmEvent};

/// Clients of one VM at a time. A full desktop session has about forty.
const MAX_CLIENTS: usize = 128;

/// VMs without a client whose display is kept. Making one takes 5 ms for its
/// keymap, which a VM must not be able to cause by reconnecting; one that waits takes
/// a quarter of a megabyte.
const MAX_IDLE: usize = 32;

/// All VMs.
#[derive(Debug, Default)]
pub(crate) struct Vms {
    entries: BTreeMap<VmId, Entry>,
    last_link: u64,
    /// Counts up, to tell which VM was idle longest.
    clock: u64,
}

/// One VM and its connections.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) vm: Vm,
    links: BTreeMap<LinkId, RegistrationToken>,
    /// Clients wrote or left, or the core acted on it, since the last turn.
    pub(crate) dirty: bool,
    idle_since: u64,
    share: Share,
    /// Processor time spent on it.
    busy: Duration,
    /// Its connections are not read at present.
    paused: bool,
}

impl Entry {
    /// Lets the VM handle what its clients sent, on its own account. Also
    /// answers until when it must be left alone, if it used too much time.
    pub(crate) fn dispatch(&mut self) -> (Vec<VmEvent>, Option<Instant>) {
        let start = share::processor_time();
        let events = self.vm.dispatch();
        let spent = share::processor_time().saturating_sub(start);
        self.busy = self.busy.saturating_add(spent);
        (events, self.share.charge(spent, Instant::now()))
    }
}

impl Vms {
    pub(crate) fn get(&self, id: VmId) -> Option<&Vm> {
        self.entries.get(&id).map(|entry| &entry.vm)
    }

    /// A VM that is about to be acted on.
    pub(crate) fn get_mut(&mut self, id: VmId) -> Option<&mut Vm> {
        let entry = self.entries.get_mut(&id)?;
        entry.dirty = true;
        Some(&mut entry.vm)
    }

    /// Notes that the VM's display has something to read.
    pub(crate) fn mark(&mut self, id: VmId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.dirty = true;
        }
    }

    /// The VM with this id, made if need be.
    pub(crate) fn get_or_create(
        &mut self,
        id: VmId,
        name: &VmName,
        colour: Colour,
        monitor: Size,
    ) -> anyhow::Result<&mut Vm> {
        let entry = match self.entries.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Entry {
                vm: Vm::new(id, name.clone(), colour, monitor)?,
                links: BTreeMap::new(),
                dirty: true,
                idle_since: self.clock,
                share: Share::default(),
                busy: Duration::ZERO,
                paused: false,
            }),
        };
        Ok(&mut entry.vm)
    }

    /// True if the VM may have one more client.
    pub(crate) fn has_room(&self, id: VmId) -> bool {
        let entry = self.entries.get(&id);
        entry.is_none_or(|entry| entry.links.len() < MAX_CLIENTS)
    }

    pub(crate) fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId(self.last_link)
    }

    pub(crate) fn add_link(&mut self, id: VmId, link: LinkId, token: RegistrationToken) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.links.insert(link, token);
            entry.dirty = true;
        }
    }

    pub(crate) fn remove_link(&mut self, id: VmId, link: LinkId) {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.links.remove(&link);
            entry.idle_since = self.clock;
            entry.dirty = true;
        }
    }

    /// The VM whose display should go: the one idle longest, if too many are.
    pub(crate) fn superfluous(&self) -> Option<VmId> {
        let idle = self.entries.iter().filter(|(_, e)| e.links.is_empty());
        let mut idle: Vec<_> = idle.map(|(id, e)| (e.idle_since, *id)).collect();
        idle.sort_unstable();
        (idle.len() > MAX_IDLE).then(|| idle[0].1)
    }

    /// Takes a VM out, with the sources of its connections.
    pub(crate) fn remove(&mut self, id: VmId) -> Option<(Vm, Vec<RegistrationToken>)> {
        let entry = self.entries.remove(&id)?;
        Some((entry.vm, entry.links.into_values().collect()))
    }

    /// The sources of a VM's connections, of which there may be none; `None` if
    /// the VM is paused, or is not, already.
    pub(crate) fn set_paused(&mut self, id: VmId, paused: bool) -> Option<Vec<RegistrationToken>> {
        let entry = self.entries.get_mut(&id)?;
        let changes = entry.paused != paused;
        entry.paused = paused;
        changes.then(|| entry.links.values().copied().collect())
    }

    /// True if a new connection of the VM has to wait as well.
    pub(crate) fn is_paused(&self, id: VmId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.paused)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (VmId, &mut Entry)> {
        self.entries.iter_mut().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn ids(&self) -> Vec<VmId> {
        self.entries.keys().copied().collect()
    }

    /// The VMs that have a connection.
    pub(crate) fn connected(&self) -> impl Iterator<Item = VmInfo> {
        let connected = self.entries.iter().filter(|(_, e)| !e.links.is_empty());
        connected.map(|(id, entry)| VmInfo {
            id: *id,
            name: entry.vm.name().clone(),
            clients: entry.links.len(),
            busy: entry.busy,
        })
    }

    /// True if a client of any VM waits for a frame.
    pub(crate) fn want_frame(&self) -> bool {
        self.entries.values().any(|entry| entry.vm.wants_frame())
    }
}
