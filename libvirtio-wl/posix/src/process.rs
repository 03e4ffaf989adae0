//! The one device of the process.

use std::sync::{PoisonError, RwLock};

use virtio_wl::{Device, Result};

/// Present from the first use on.
static DEVICE: RwLock<Option<Device>> = RwLock::new(None);

/// The device that `VIRTIO_WL_DEVICE` names, opened at the first call, with a thread that dispatches
/// where the driver needs one.
///
/// # Errors
///
/// Those of [`Device::open`] and [`Device::spawn_dispatcher`]; the next call tries again.
pub fn device() -> Result<Device> {
    if let Some(device) = opened() {
        return Ok(device);
    }
    let mut slot = DEVICE.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = &*slot {
        return Ok(device.clone());
    }
    let device = open()?;
    *slot = Some(device.clone());
    Ok(device)
}

/// The device if it is open. Never opens it.
pub fn opened() -> Option<Device> {
    DEVICE
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Opens the device again after it has gone: VFDs of the old one are none of this one.
///
/// # Errors
///
/// As [`device`]; the old one stays then.
pub fn reopen() -> Result<Device> {
    let device = open()?;
    let mut slot = DEVICE.write().unwrap_or_else(PoisonError::into_inner);
    *slot = Some(device.clone());
    Ok(device)
}

fn open() -> Result<Device> {
    let device = Device::open()?;
    device.spawn_dispatcher()?;
    Ok(device)
}
