//! Which VFD a file descriptor of the user's stands for.

use std::collections::{HashMap, VecDeque};

use super::token::FileId;
use crate::wire::{VfdId, VfdKind};

/// Ended VFDs that are remembered. Users of bare fds never say when they close the fd of an ended
/// VFD, so something must bound the memory of them; a forgotten one is "no VFD" (`ENOTTY`).
const MAX_ENDED: usize = 4096;

/// A file that stands for a VFD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// This VFD.
    Open(VfdId),
    /// One that has hung up and whose data was all taken.
    Ended(VfdKind),
}

/// Files by identity.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// Memory that arrives twice is two VFDs with one file, interchangeable to the user.
    open: HashMap<FileId, Vec<VfdId>>,
    ended: HashMap<FileId, VfdKind>,
    /// Keys of `ended`, oldest first; may hold files that have been forgotten since.
    order: VecDeque<FileId>,
}

impl Identities {
    /// A file that was handed out for a VFD.
    pub(super) fn insert(&mut self, file: FileId, id: VfdId) {
        // The number of a closed file can come back.
        self.ended.remove(&file);
        self.open.entry(file).or_default().push(id);
    }

    /// The VFD is gone.
    pub(super) fn remove(&mut self, file: FileId, id: VfdId) {
        if let Some(ids) = self.open.get_mut(&file) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.open.remove(&file);
            }
        }
    }

    /// The VFD is gone, but its user may still ask for what it was.
    pub(super) fn end(&mut self, file: FileId, id: VfdId, kind: VfdKind) {
        self.remove(file, id);
        self.ended.insert(file, kind);
        self.order.push_back(file);
        while self.order.len() > MAX_ENDED {
            if let Some(oldest) = self.order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
    }

    /// The user has closed the file of an ended VFD.
    pub(super) fn forget(&mut self, file: FileId) {
        if self.ended.remove(&file).is_some() {
            self.order.retain(|&other| other != file);
        }
    }

    /// What `file` stands for.
    pub(super) fn get(&self, file: FileId) -> Option<Known> {
        match self.open.get(&file).and_then(|ids| ids.last()) {
            Some(&id) => Some(Known::Open(id)),
            None => self.ended.get(&file).copied().map(Known::Ended),
        }
    }
}
