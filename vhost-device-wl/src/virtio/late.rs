//! Requests that are carried out but not given back yet.
//!
//! *Memory* that was mapped but is not there yet for the guest: it learns of it when it is.
//!
//! *Messages* whose peer does not read, which is how a guest learns that. A driver bounds what it
//! has under way, so holding its buffers back slows its writer down, as a full socket would, where
//! finishing them at once would end in an overflowing queue. Only drivers with
//! [`Features::CREDIT`] are treated so: others let a thread sleep until its message is finished,
//! and no signal wakes it.
//!
//! *The close of the last memory* of all, until no mapping is left: a driver that leaves waits for the
//! answers to what it has closed, and a frontend may not survive that a device which has mappings is
//! started anew (QEMU 11.1 does not). Again only with [`Features::CREDIT`], as others may wait for
//! the answer in close(2).
//!
//! [`Features::CREDIT`]: virtio_wl::wire::Features::CREDIT

use super::ring::{Broken, Ring};
use crate::core::session::{Key, Session};

/// Bytes a peer may leave unread before messages to it are finished late: half of what a Unix
/// socket holds by default, which is full by then as well.
pub const LATE_ABOVE: usize = 128 * 1024;

/// Chains that are held back.
#[derive(Debug, Default)]
pub struct Late {
    held: Vec<Held>,
}

/// What a request may have to wait for after it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// This VFD's peer has read, or its memory is there.
    Settled(Key),
    /// Nothing is mapped any more, if this was the last memory.
    Unmapped(Key),
}

#[derive(Debug)]
struct Held {
    until: Until,
    head: u16,
    /// Bytes of the response, which is in place.
    written: u32,
}

impl Late {
    /// Holds a chain back, if there is a reason to. True: there is.
    pub fn hold(&mut self, session: &Session, until: Until, head: u16, written: u32) -> bool {
        let late = is_late(session, until);
        if late {
            let held = Held {
                until,
                head,
                written,
            };
            self.held.push(held);
        }
        late
    }

    /// Gives back what need not be held any longer: the peer has read, the mapping is there, the
    /// VFD is gone, or all mappings are.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn release(&mut self, session: &Session, ring: &Ring<'_>) -> Result<(), Broken> {
        // A stopped ring takes nothing; what is held waits for it.
        if !ring.is_live() {
            return Ok(());
        }
        let mut result = Ok(());
        self.held.retain(|held| {
            let stays = result.is_err() || is_late(session, held.until);
            if !stays {
                result = ring.push(held.head, held.written);
            }
            stays
        });
        result
    }

    /// Whether there is something to [`release`](Self::release).
    #[must_use]
    pub fn is_due(&self, session: &Session) -> bool {
        self.held.iter().any(|held| !is_late(session, held.until))
    }

    /// Forgets everything, for a new driver.
    pub fn reset(&mut self) {
        self.held.clear();
    }
}

fn is_late(session: &Session, until: Until) -> bool {
    match until {
        Until::Settled(key) => session.unsent(key) > LATE_ABOVE || !session.is_visible(key),
        Until::Unmapped(key) => session.is_leaving(key),
    }
}
