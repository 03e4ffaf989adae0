//! What was compiled against, what is running.
#![allow(unsafe_code, reason = "an exported symbol")]

/// Major version of the library that this header belongs to.
pub const VIRTIO_WL_VERSION_MAJOR: u32 = 0;
/// Its minor version.
pub const VIRTIO_WL_VERSION_MINOR: u32 = 1;
/// Its patch level.
pub const VIRTIO_WL_VERSION_PATCH: u32 = 0;
/// All three in one number, 8 bits each, for comparisons: 1.2.3 is 0x010203.
pub const VIRTIO_WL_VERSION: u32 =
    VIRTIO_WL_VERSION_MAJOR << 16 | VIRTIO_WL_VERSION_MINOR << 8 | VIRTIO_WL_VERSION_PATCH;

/// virtio_wl_version - the version of the library that runs
///
/// Returns it as VIRTIO_WL_VERSION has the version that was compiled against. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn virtio_wl_version() -> u32 {
    VIRTIO_WL_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_that_of_the_package() {
        let parts = [
            VIRTIO_WL_VERSION_MAJOR,
            VIRTIO_WL_VERSION_MINOR,
            VIRTIO_WL_VERSION_PATCH,
        ];
        let text = parts.map(|part| part.to_string()).join(".");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        assert!(parts.iter().all(|part| *part < 256));
    }
}
