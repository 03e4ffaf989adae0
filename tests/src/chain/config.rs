//! The configuration files of one chain, written as a user would write them.

use std::fmt::Write as _;
use std::path::Path;

use super::VmSpec;
use super::paths::Paths;

/// `[[vm]]` of the accept proxy: name, colour and socket of each app VM.
pub(super) fn accept_proxy(
    paths: &Paths,
    vms: &[VmSpec],
    unclaimed_timeout: Option<u32>,
) -> String {
    let mut text = format!(
        "[compositor]\ncontrol = {}\nannounce = {}\n",
        quoted(&paths.compositor_control()),
        quoted(&paths.announce()),
    );
    if let Some(seconds) = unclaimed_timeout {
        let _ = writeln!(text, "unclaimed-timeout = {seconds}.0");
    }
    for vm in vms {
        let _ = write!(
            text,
            "\n[[vm]]\nname = \"{}\"\ncolour = \"{}\"\nsocket = {}\nmode = \"0600\"\n",
            vm.name,
            vm.colour,
            quoted(&paths.wayland(&vm.name)),
        );
    }
    text
}

/// `[[vm]]` of the memory server: each VM has a socket of its own, the compositor's too.
pub(super) fn memfd_server(paths: &Paths, vms: &[VmSpec]) -> String {
    let mut text = String::new();
    let mut vm_table = |name: &str, extra: &str| {
        let socket = quoted(&paths.memory(name));
        let _ = write!(
            text,
            "[[vm]]\nname = \"{name}\"\nsocket = {socket}\nmode = \"0600\"\n{extra}\n"
        );
    };
    vm_table(super::COMPOSITOR, "");
    for vm in vms {
        vm_table(&vm.name, &vm.memory_limits);
    }
    text
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    format!(
        "\"{}\"",
        path.display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
    )
}
