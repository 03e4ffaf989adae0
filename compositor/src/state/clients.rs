//! Clients and VMs coming and going.

use std::time::Instant;

use calloop::timer::{TimeoutAction, Timer};
use virtio_wl_bridge::Transport;

use super::Compositor;
use crate::bridge::{LinkId, LinkSource, LinkState};
use crate::core::VmId;
use crate::label::{Colour, VmName};

impl Compositor {
    /// Takes a new connection of a VM in.
    pub(crate) fn add_client(
        &mut self,
        vm: VmId,
        name: &VmName,
        colour: Colour,
        transport: Box<dyn Transport>,
    ) {
        if let Err(error) = self.try_add_client(vm, name, colour, transport) {
            tracing::warn!(vm = %name, %error, "connection refused");
        }
    }

    fn try_add_client(
        &mut self,
        vm: VmId,
        name: &VmName,
        colour: Colour,
        transport: Box<dyn Transport>,
    ) -> anyhow::Result<()> {
        if !self.vms.has_room(vm) {
            anyhow::bail!("it has too many clients");
        }
        let monitor = self.core.monitor().size();
        let (link, stream) = LinkSource::new(transport)?;
        self.vms
            .get_or_create(vm, name, colour, monitor)?
            .insert(stream)?;
        let id = self.vms.next_link();
        let turn = move |state, &mut (): &mut (), compositor: &mut Compositor| {
            compositor.link_turned(vm, id, state);
        };
        let token = self
            .handle
            .insert_source(link, turn)
            .map_err(|error| anyhow::anyhow!("cannot watch it: {error}"))?;
        if self.vms.is_paused(vm) {
            self.handle.disable(&token)?;
        }
        self.vms.add_link(vm, id, token);
        tracing::debug!(vm = %name, link = id.0, "new client");
        Ok(())
    }

    fn link_turned(&mut self, vm: VmId, link: LinkId, state: LinkState) {
        match state {
            LinkState::Idle => {}
            LinkState::Fed => self.vms.mark(vm),
            LinkState::Closed => self.vms.remove_link(vm, link),
        }
    }

    /// Leaves a VM's connections alone until a time.
    pub(crate) fn pause(&mut self, vm: VmId, until: Instant) {
        // A VM whose last client has just left has no sources, but must be
        // resumed all the same: the next client would wait for ever.
        let Some(sources) = self.vms.set_paused(vm, true) else {
            return;
        };
        for source in &sources {
            if let Err(error) = self.handle.disable(source) {
                tracing::error!(%error, "cannot pause a connection");
            }
        }
        let resume = move |_, &mut (): &mut (), compositor: &mut Compositor| {
            compositor.resume(vm);
            TimeoutAction::Drop
        };
        if let Err(error) = self
            .handle
            .insert_source(Timer::from_deadline(until), resume)
        {
            tracing::error!(%error, "cannot set a timer");
            self.resume(vm);
        }
    }

    fn resume(&mut self, vm: VmId) {
        for source in self.vms.set_paused(vm, false).into_iter().flatten() {
            if let Err(error) = self.handle.enable(&source) {
                tracing::error!(%error, "cannot resume a connection");
            }
        }
    }

    /// Ends displays nobody uses, if there are too many.
    pub(super) fn drop_superfluous(&mut self) {
        while let Some(vm) = self.vms.superfluous() {
            self.end_vm(vm);
        }
    }

    /// Ends a VM with all its clients.
    pub(crate) fn end_vm(&mut self, id: VmId) {
        let Some((vm, sources)) = self.vms.remove(id) else {
            return;
        };
        for source in sources {
            self.handle.remove(source);
        }
        self.core.remove_vm(id);
        self.damaged = true;
        self.settle();
        vm.end();
    }

    /// Ends everything, in order.
    pub(crate) fn shut_down(&mut self) {
        for id in self.vms.ids() {
            self.end_vm(id);
        }
        self.sockets.clear();
    }
}
