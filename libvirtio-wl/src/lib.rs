//! Byte and file descriptor passing between virtual machines over virtio_wl.
//!
//! | module | what it is |
//! |---|---|
//! | [`wire`] | the messages, as bytes and as checked values; used by guests and by the device |
//! | [`limits`] | every size and limit, with its reason |
//! | [`label`] | what the host says of a VM: name, id, colour |
//! | [`accept_record`] | how the host announces connections |
//! | [`memfd_request`] | how a guest asks the host for memory |
//! | `host` | what the host daemons share (feature `host`) |
//! | `driver` | the seam below the API: the guest kernel's driver, or this process as the guest |
//! | [`address`](DeviceAddress) | which device to open |
//! | `error` | errors of the API |

pub mod accept_record;
mod address;
mod channel;
mod convert;
mod device;
mod dispatcher;
mod driver;
mod error;
mod handle;
#[cfg(feature = "host")]
pub mod host;
pub mod label;
pub mod limits;
mod listener;
mod mapping;
pub mod memfd_request;
mod memory;
mod memory_server;
mod pump;
mod stream;
mod vfd;
mod wait;
pub mod wire;

pub use self::{
    address::{AddressError, DEVICE_VARIABLE, DeviceAddress},
    channel::{Channel, MsgFlags},
    device::Device,
    driver::DriverStats,
    error::{Error, Result},
    listener::{Listener, Peer},
    mapping::Mapping,
    memory::Memory,
    vfd::Vfd,
    wire::{ContextName, PipeDirection, VfdKind},
};
