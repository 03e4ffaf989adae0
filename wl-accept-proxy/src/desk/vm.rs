//! One VM at the desk.

use std::collections::VecDeque;
use std::rc::Rc;

use virtio_wl::accept_record::{AcceptRecord, ConnectionName};

use crate::config::Label;

#[derive(Debug)]
pub(super) struct Vm<S> {
    pub(super) label: Label,
    /// Accepted, and not (or not successfully) offered to the device.
    pub(super) in_hand: VecDeque<Rc<S>>,
}

impl<S> Vm<S> {
    /// What the compositor is told of a connection of this VM.
    pub(super) fn record(&self, connection: ConnectionName) -> AcceptRecord {
        AcceptRecord {
            vm_id: self.label.id,
            colour: self.label.colour,
            connection,
            vm_name: self.label.name.clone(),
        }
    }
}
