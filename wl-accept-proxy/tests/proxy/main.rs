//! The real proxy, with a compositor's device made here and real clients.

mod clients;
mod daemon;
mod device;
mod harness;
mod outages;
