//! SIGHUP: the configuration anew.

use std::collections::BTreeSet;

use virtio_wl::host::config;
use virtio_wl::label::VmName;

use super::Server;
use crate::config::{Config, VmConfig};

impl Server {
    /// Reads the configuration again. A file that cannot be used changes nothing; a
    /// socket that cannot be made leaves only its own VM without one.
    pub(super) fn reload(&mut self) {
        let path = self.config_path.clone();
        config::reload(&path, Config::parse, |config| self.reconfigure(config));
    }

    fn reconfigure(&mut self, config: Config) {
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
            if vm.config.endpoint.still_serves(&config.endpoint) {
                vm.reconfigure(config);
                return;
            }
            // First the old one: the new one may have the same path.
            self.remove_vm(&name);
        }
        let listener = config.endpoint.listen(&name).map_err(Into::into);
        let added = listener.and_then(|listener| self.add_vm(config, listener));
        if let Err(error) = added {
            tracing::error!(vm = %name, error = format!("{error:#}"), "not listening");
        }
    }

    /// Closes its sockets. What it holds stays on its account.
    fn remove_vm(&mut self, name: &VmName) {
        let Some(vm) = self.vms.remove(name) else {
            return;
        };
        self.handle.remove(vm.listener);
        for source in vm.sources() {
            self.handle.remove(source);
        }
    }
}
