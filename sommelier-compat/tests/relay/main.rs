//! Real clients and a real compositor, both of wayland-rs, with the relay
//! between them; all in one thread, so that a test sees every moment.

mod client;
mod fixture;
mod globals;
mod hostile;
mod painter;
mod pixels;
mod random;
mod seat;
mod server;
