//! What a compositor is told of a VM.

use virtio_wl::label::{VmId, VmName};

/// The sandbox engine of all VMs.
pub const SANDBOX_ENGINE: &str = "virtio-wl";

/// What a compositor is told of a VM's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(crate) app_id: String,
    pub(crate) instance_id: String,
}

impl Identity {
    /// Of the VM with this name and id, both in the words of the host.
    #[must_use]
    pub fn new(name: &VmName, id: VmId) -> Self {
        Self {
            app_id: name.as_str().to_owned(),
            instance_id: id.to_string(),
        }
    }

    /// The VM's name.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The VM's id in decimal.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }
}
