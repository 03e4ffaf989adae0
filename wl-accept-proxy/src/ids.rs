//! VM ids.
//!
//! An id must never mean another VM while the compositor's VM lives, which may be longer
//! than this process and its configuration. So an id is a function of the name alone
//! (FNV-1a, 32 bits), or what the configuration says; there is no state to keep or lose.

use virtio_wl::label::{VmId, VmName};

/// The id of the VM of that name: FNV-1a, with 0 left out.
#[must_use]
pub fn from_name(name: &VmName) -> VmId {
    let hash = name.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    VmId(hash.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_published_hash_and_stay_so() {
        let id = |name: &str| from_name(&VmName::new(name).unwrap()).0;
        assert_eq!(id("a"), 0xe40c_292c);
        assert_eq!(id("foobar"), 0xbf9c_f968);
    }
}
