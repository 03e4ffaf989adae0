//! Connections that the device has and that nobody is known to have claimed.

use std::time::Instant;

use virtio_wl::accept_record::{AcceptRecord, ConnectionName};
use virtio_wl::label::VmName;

/// One of them. Never more than the device takes, so a list is searched as fast as
/// anything else.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) name: ConnectionName,
    /// What the compositor is told; nothing for one that another run of this program
    /// has registered.
    pub(super) record: Option<AcceptRecord>,
    pub(super) deadline: Instant,
}

impl Waiting {
    fn vm(&self) -> Option<&VmName> {
        self.record.as_ref().map(|record| &record.vm_name)
    }
}

#[derive(Debug, Default)]
pub(super) struct WaitingList {
    live: Vec<Waiting>,
    /// Being removed: counted until the device has confirmed, but announced no more.
    leaving: Vec<Waiting>,
}

impl WaitingList {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.live.push(waiting);
    }

    fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.live.iter().chain(&self.leaving)
    }

    pub(super) fn contains(&self, name: &ConnectionName) -> bool {
        self.all().any(|waiting| waiting.name == *name)
    }

    pub(super) fn count(&self, vm: &VmName) -> usize {
        self.all()
            .filter(|waiting| waiting.vm() == Some(vm))
            .count()
    }

    /// Records of all that can still be claimed, oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = AcceptRecord> {
        self.live
            .iter()
            .filter_map(|waiting| waiting.record.clone())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.live.iter().map(|waiting| waiting.deadline).min()
    }

    /// Keeps those of `names`; the others have been claimed.
    pub(super) fn retain(&mut self, names: impl Fn(&ConnectionName) -> bool) {
        self.live.retain(|waiting| names(&waiting.name));
    }

    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<ConnectionName> {
        self.take(|waiting| waiting.deadline <= now)
    }

    /// Takes those of VMs that are not `known`.
    pub(super) fn take_of_strangers(
        &mut self,
        known: impl Fn(&VmName) -> bool,
    ) -> Vec<ConnectionName> {
        self.take(|waiting| waiting.vm().is_some_and(|vm| !known(vm)))
    }

    fn take(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<ConnectionName> {
        let (leaving, live) = std::mem::take(&mut self.live).into_iter().partition(which);
        let leaving: Vec<Waiting> = leaving;
        self.live = live;
        let names = leaving.iter().map(|waiting| waiting.name.clone()).collect();
        self.leaving.extend(leaving);
        names
    }

    /// It has been removed, or was gone already; whose it was.
    pub(super) fn forget(&mut self, name: &ConnectionName) -> Option<VmName> {
        let at = self.leaving.iter().position(|w| w.name == *name)?;
        self.leaving.swap_remove(at).vm().cloned()
    }
}
