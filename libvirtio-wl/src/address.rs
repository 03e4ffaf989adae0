//! Where the device is.

use std::{
    env,
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Environment variable that [`Device::open`](crate::Device::open) reads.
pub const DEVICE_VARIABLE: &str = "VIRTIO_WL_DEVICE";

/// Device node of the first virtio_wl device.
const DEFAULT_NODE: &str = "/dev/wl0";

/// Prefix that selects the embedded driver.
const VHOST_USER_PREFIX: &[u8] = b"vhost-user:";

/// Which device to open, and by which driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceAddress {
    /// The guest kernel's driver, by its device node.
    Kernel(PathBuf),
    /// This process is the guest: the vhost-user socket of a device.
    VhostUser(PathBuf),
}

/// Why a text is not the address of a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device address {0:?} has an empty path; use a device node or vhost-user:PATH")]
pub struct AddressError(String);

impl DeviceAddress {
    /// The address named by `VIRTIO_WL_DEVICE`, or `/dev/wl0` when that is unset or empty.
    pub fn from_env() -> Result<Self, AddressError> {
        match env::var_os(DEVICE_VARIABLE) {
            Some(value) if !value.is_empty() => Self::parse(&value),
            _ => Ok(Self::default()),
        }
    }

    /// Reads `PATH` or `vhost-user:PATH`.
    pub fn parse(text: &OsStr) -> Result<Self, AddressError> {
        let bytes = text.as_bytes();
        let (path, address): (&[u8], fn(PathBuf) -> Self) =
            match bytes.strip_prefix(VHOST_USER_PREFIX) {
                Some(path) => (path, Self::VhostUser),
                None => (bytes, Self::Kernel),
            };
        if path.is_empty() {
            return Err(AddressError(text.to_string_lossy().into_owned()));
        }
        Ok(address(PathBuf::from(OsStr::from_bytes(path))))
    }

    /// The path in the address.
    pub fn path(&self) -> &Path {
        match self {
            Self::Kernel(path) | Self::VhostUser(path) => path,
        }
    }
}

impl Default for DeviceAddress {
    fn default() -> Self {
        Self::Kernel(PathBuf::from(DEFAULT_NODE))
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(path) => write!(f, "{}", path.display()),
            Self::VhostUser(path) => write!(f, "vhost-user:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DeviceAddress, AddressError> {
        DeviceAddress::parse(OsStr::new(text))
    }

    #[test]
    fn paths_and_prefixes() {
        assert_eq!(
            parse("/dev/wl1"),
            Ok(DeviceAddress::Kernel("/dev/wl1".into()))
        );
        assert_eq!(
            parse("vhost-user:/run/a.sock"),
            Ok(DeviceAddress::VhostUser("/run/a.sock".into()))
        );
    }

    #[test]
    fn empty_paths_are_refused() {
        assert!(parse("").is_err());
        assert!(parse("vhost-user:").is_err());
    }

    #[test]
    fn display_parses_back() {
        for text in ["/dev/wl0", "vhost-user:/run/a.sock"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
