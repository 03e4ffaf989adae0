//! What the Wayland clients of the integration tests share.
//!
//! * [`session`]: a connection with the globals every client here wants
//! * [`window`]: a toplevel of a fixed size
//! * [`pool`]: a `wl_shm` pool over an ordinary memfd
//! * [`canvas`]: a picture in memory, drawn deterministically
//! * [`raw`]: hand-made messages on the socket, for what no honest library sends
//!
//! The binaries: `pattern-client` (a checked pattern with partial damage and pool resize),
//! `keymap-client` (what its keymap descriptor is), `connect-client` (many connections),
//! `hostile-client` (named attacks).

pub mod canvas;
pub mod pool;
pub mod raw;
pub mod session;
pub mod window;
