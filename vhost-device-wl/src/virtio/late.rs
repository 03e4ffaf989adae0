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

#[derive(Debug)]
struct Held {
    key: Key,
    head: u16,
    /// Bytes of the response, which is in place.
    written: u32,
}

impl Late {
    /// Holds a chain about `key` back, if there is a reason to. True: there is.
    pub fn hold(&mut self, session: &Session, key: Key, head: u16, written: u32) -> bool {
        let late = is_late(session, key);
        if late {
            self.held.push(Held { key, head, written });
        }
        late
    }

    /// Gives back what need not be held any longer: the peer has read, the mapping is there, or
    /// the VFD is gone.
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
            let stays = result.is_err() || is_late(session, held.key);
            if !stays {
                result = ring.push(held.head, held.written);
            }
            stays
        });
        result
    }

    /// Forgets everything, for a new driver.
    pub fn reset(&mut self) {
        self.held.clear();
    }
}

fn is_late(session: &Session, key: Key) -> bool {
    session.unsent(key) > LATE_ABOVE || !session.is_visible(key)
}
