//! From the kernel's hand-over to a guest in which programs can run.

pub(crate) mod command_line;
pub(crate) mod lockdown;
pub(crate) mod machine_id;
pub(crate) mod modules;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod root;
