//! Accepts Wayland clients on the host and hands them to the compositor's VM.
//!
//! Each app VM has a listening socket of its own, and that socket *is* the VM's identity:
//! name, id and colour come from the configuration and from nowhere else. An accepted
//! connection is given to the compositor's device (`add` on its control socket), which
//! names it; then one record tells the compositor that name and whose it is. From there
//! on the bytes flow between the two devices and never here.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`ids`] | VM ids from names |
//! | [`desk`] | connections from accept to claim, without I/O |
//! | [`server`] | sockets, timers and signals around it |
//! | [`sandbox`] | what the process gives up once it listens |
//!
//! A connection is *claimed* when the guest opens its name, which takes the name out of
//! the device's table. Nobody tells the proxy: it takes the name out itself when the time
//! is over ("no such name" means claimed), and looks at the table only while a VM has as
//! many connections waiting as it may.
//!
//! As long as nobody could claim a connection (the device is away, or no compositor has
//! opened `wl-accept`) none is accepted: clients wait in the kernel's backlog, and their
//! time does not run.

pub mod config;
pub mod desk;
pub mod ids;
pub mod sandbox;
pub mod server;
