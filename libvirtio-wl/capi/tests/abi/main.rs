//! The C ABI as C programs meet it: installed, compiled against with pkg-config, linked, and run over
//! the real device.

mod compile;
mod differential;
mod examples;
mod header;
mod installed;
mod manual;
mod programs;
mod symbols;
mod world;
