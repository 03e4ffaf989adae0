//! What a guest without a network still has: a name, and itself to talk to.

use std::fs;

use guest_control::Role;
use nix::unistd::sethostname;

use crate::sys;

/// Where an image may say what its guests are called.
const NAME_FILE: &str = "/etc/hostname";

/// Longest name the kernel takes (`HOST_NAME_MAX`), in bytes.
const MAX_NAME: usize = 64;

/// Gives the guest its name: the one asked for, else the image's, else that of its role.
pub(crate) fn name_host(asked: Option<&str>, role: Role) {
    let image = fs::read_to_string(NAME_FILE).unwrap_or_default();
    let name = choose(asked, &image, role);
    if let Err(errno) = sethostname(name) {
        tracing::error!("cannot take the name {name}: {errno}");
    }
}

fn choose<'a>(asked: Option<&'a str>, image: &'a str, role: Role) -> &'a str {
    let of_role = match role {
        Role::Compositor => "compositor",
        Role::App => "app",
        Role::Bare => "bare",
    };
    let names = asked.into_iter().chain(image.lines().map(str::trim));
    names
        .into_iter()
        .find(|name| is_name(name))
        .unwrap_or(of_role)
}

/// Whether a guest may be called so: what names of VMs are made of.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Lets programs of the guest talk to each other by IP. The kernel adds the addresses by itself.
pub(crate) fn start_loopback() {
    if let Err(errno) = sys::bring_interface_up(c"lo") {
        tracing::warn!("cannot start lo: {errno}");
    }
}

#[cfg(test)]
mod tests;
