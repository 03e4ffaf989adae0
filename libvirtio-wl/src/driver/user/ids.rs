//! Ids of the VFDs that the guest creates.

use crate::{
    limits::{GUEST_ID_END, GUEST_ID_MIN},
    wire::VfdId,
};

/// Hands out ids in turn, so that one is reused as late as possible.
#[derive(Debug)]
pub(super) struct GuestIds {
    taken: Vec<bool>,
    next: u32,
}

impl Default for GuestIds {
    fn default() -> Self {
        Self {
            taken: vec![false; GUEST_ID_END as usize],
            next: GUEST_ID_MIN,
        }
    }
}

impl GuestIds {
    /// An id that no VFD has; `None` when there are 2047 of them.
    pub(super) fn allocate(&mut self) -> Option<VfdId> {
        let all = (self.next..GUEST_ID_END).chain(GUEST_ID_MIN..self.next);
        let id = all.into_iter().find(|&id| !self.taken[id as usize])?;
        self.taken[id as usize] = true;
        self.next = if id + 1 == GUEST_ID_END {
            GUEST_ID_MIN
        } else {
            id + 1
        };
        VfdId::guest(id).ok()
    }

    /// Takes an id back; ids of the device's are not ours to manage.
    pub(super) fn free(&mut self, id: VfdId) {
        if let Some(taken) = self.taken.get_mut(id.get() as usize) {
            *taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_late_and_run_out() {
        let mut ids = GuestIds::default();
        let first = ids.allocate().unwrap();
        ids.free(first);
        assert_ne!(ids.allocate().unwrap(), first);
        let rest = std::iter::from_fn(|| ids.allocate()).count();
        assert_eq!(rest, 2046);
        ids.free(first);
        assert_eq!(ids.allocate(), Some(first));
    }
}
