//! Servers on libwayland-server behind `libvirtio_wl_preload.so.1`, with raw clients of other VMs.

mod libwayland;
mod server;

mod bursts;
mod connections;
mod contexts;
mod deaths;
mod descriptors;
mod limits;
mod linked;
mod pools;
mod symbols;
