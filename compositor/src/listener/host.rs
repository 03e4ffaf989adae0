//! Connections of VMs, announced by the host over virtio_wl.

use virtio_wl::Peer;
use virtio_wl_bridge::{Connection, Host, Server};

use crate::core::VmId;
use crate::state::Compositor;

/// Connects now, or as soon as the device is there.
pub(crate) fn listen(compositor: &mut Compositor, context: &str) {
    let host = Host::new(compositor.handle().clone(), context);
    compositor.host = Some(host);
    Host::start(compositor);
}

impl Server for Compositor {
    fn host(&mut self) -> Option<&mut Host<Self>> {
        self.host.as_mut()
    }

    fn connected(&mut self, connection: Connection, peer: &Peer) {
        let vm = VmId(u64::from(peer.vm_id.0));
        self.add_client(vm, &peer.vm_name, peer.colour, Box::new(connection));
    }

    fn listening(&mut self) {
        self.changed = true;
    }
}
