//! Names of VMs and windows inside the compositor.

use std::fmt;

/// A VM, for the life of the compositor.
///
/// Ids given by the host fit in 32 bits; those of test sockets start above
/// ([`VmId::FIRST_TEST`]), so the two can never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(pub u64);

impl VmId {
    /// First id of VMs that exist only as a test socket.
    pub const FIRST_TEST: u64 = 1 << 32;
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A window within its VM; never reused in that VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey(pub u64);

/// A window anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId {
    /// The VM it belongs to.
    pub vm: VmId,
    /// Its key there.
    pub key: WindowKey,
}
