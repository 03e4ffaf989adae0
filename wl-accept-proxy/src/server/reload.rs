//! SIGHUP: the configuration anew.

use std::collections::BTreeSet;
use std::time::Instant;

use virtio_wl::host::config;
use virtio_wl::label::VmName;

use super::Proxy;
use crate::config::{Compositor, Config, VmConfig};

impl Proxy {
    /// Reads the configuration again. A file that cannot be used changes nothing; a
    /// socket that cannot be made leaves only its own VM without one. Connections that
    /// have been claimed live on, whatever becomes of their VM's entry.
    pub(super) fn reload(&mut self) {
        let path = self.config_path.clone();
        config::reload(&path, Config::parse, |config| self.reconfigure(config));
    }

    fn reconfigure(&mut self, config: Config) {
        self.desk.set_vms(config.labels());
        let wanted: BTreeSet<_> = config.vms.iter().map(|vm| &vm.label.name).collect();
        let gone = self.doors.keys().filter(|name| !wanted.contains(name));
        for name in gone.cloned().collect::<Vec<_>>() {
            tracing::info!(vm = %name, "removed");
            self.close_door(&name);
        }
        self.reload_compositor(config.compositor);
        for vm in config.vms {
            self.reload_vm(vm);
        }
        tracing::info!(vms = self.doors.len(), "configuration reloaded");
    }

    fn reload_vm(&mut self, config: VmConfig) {
        let name = config.label.name.clone();
        if let Some(door) = self.doors.get_mut(&name) {
            if door.config.endpoint.still_serves(&config.endpoint) {
                door.config = config;
                return;
            }
            // First the old one: the new one may have the same path.
            self.close_door(&name);
        }
        let listener = config.endpoint.listen(&name).map_err(Into::into);
        let opened = listener.and_then(|listener| self.open_door(config, listener));
        if let Err(error) = opened {
            tracing::error!(vm = %name, error = format!("{error:#}"), "not listening");
        }
    }

    fn close_door(&mut self, name: &VmName) {
        if let Some(door) = self.doors.remove(name) {
            self.handle.remove(door.token);
        }
    }

    fn reload_compositor(&mut self, new: Compositor) {
        let old = std::mem::replace(&mut self.compositor, new);
        let new = &self.compositor;
        self.desk.set_timeout(new.unclaimed_timeout);
        let announce = (&new.announce, new.announce_mode, new.announce_owner);
        if announce != (&old.announce, old.announce_mode, old.announce_owner) {
            self.desk.set_announce(new.announce.clone());
            if let Err(error) = self.announce_anew() {
                let error = format!("{error:#}");
                tracing::error!(error, "the compositor cannot be told of connections");
            }
            self.relink(Instant::now());
        } else if self.compositor.control != old.control {
            self.relink(Instant::now());
        }
    }
}
