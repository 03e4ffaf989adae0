//! SIGHUP: the configuration anew.

use std::collections::BTreeSet;

use sd_notify::NotifyState;

use super::{Server, listen};
use crate::config::{Config, VmConfig};

impl Server {
    /// Reads the configuration again. A file that cannot be used changes nothing; a
    /// socket that cannot be made leaves only its own VM without one.
    pub(super) fn reload(&mut self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
        }
        self.read_again();
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    fn read_again(&mut self) {
        let config = match Config::load(&self.config_path) {
            Ok(config) => config,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "configuration not reloaded");
                return;
            }
        };
        let wanted: BTreeSet<_> = config.vms.iter().map(|vm| vm.name.clone()).collect();
        let gone: Vec<_> = self
            .vms
            .keys()
            .filter(|vm| !wanted.contains(vm))
            .cloned()
            .collect();
        for name in gone {
            tracing::info!(vm = %name, "removed");
            self.remove_vm(&name);
        }
        for vm in config.vms {
            self.reload_vm(vm);
        }
        tracing::info!(vms = self.vms.len(), "configuration reloaded");
    }

    fn reload_vm(&mut self, config: VmConfig) {
        let name = config.name.clone();
        if let Some(vm) = self.vms.get_mut(&name) {
            let old = &vm.config;
            let same_file = old.mode == config.mode && old.owner == config.owner;
            // Without a socket here, the one inherited at the start stays.
            if config.socket.is_none() || (old.socket == config.socket && same_file) {
                vm.reconfigure(config);
                return;
            }
            // First the old one: the new one may have the same path.
            self.remove_vm(&name);
        }
        let added = listen(&config).and_then(|listener| self.add_vm(config, listener));
        if let Err(error) = added {
            tracing::error!(vm = %name, error = format!("{error:#}"), "not listening");
        }
    }

    /// Closes its sockets. What it holds stays on its account.
    fn remove_vm(&mut self, name: &virtio_wl::label::VmName) {
        let Some(vm) = self.vms.remove(name) else {
            return;
        };
        self.handle.remove(vm.listener);
        for source in vm.sources() {
            self.handle.remove(source);
        }
    }
}
