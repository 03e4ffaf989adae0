//! Every size and limit of virtio_wl and of this project's use of it, with its reason.
//!
//! Values marked *wire* are fixed by existing drivers and devices and cannot change. The others are
//! our own choice. All sizes are in bytes unless a name says otherwise.

use std::time::Duration;

/// Virtio device ID of virtio_wl (*wire*). It was never assigned by the virtio specification; the
/// modern PCI device id is `0x1040 + 63 = 0x107f`.
pub const VIRTIO_ID_WL: u32 = 63;

/// Virtio device ID used by early devices and drivers (*wire*); a guest driver matches both.
pub const VIRTIO_ID_WL_LEGACY: u32 = 30;

/// Index of the `in` queue, device to guest (*wire*).
pub const QUEUE_IN: usize = 0;

/// Index of the `out` queue, guest to device (*wire*).
pub const QUEUE_OUT: usize = 1;

/// Number of queues (*wire*).
pub const NUM_QUEUES: usize = 2;

/// Entries of each queue, as every known device offers (256). Without indirect descriptors this
/// also bounds the descriptors of one request.
pub const QUEUE_SIZE: u16 = 256;

/// Unit of `pfn` and granularity of every mapping (*wire*): 4 KiB whatever the guest's page size.
pub const PAGE_SIZE: u64 = 4096;

/// log2 of [`PAGE_SIZE`]: `pfn = offset >> PAGE_SHIFT`.
pub const PAGE_SHIFT: u32 = 12;

/// Identifier of the one shared memory region of the device (*wire*).
pub const SHMEM_REGION_ID: u8 = 0;

/// Length of the shared memory region: 4 GiB, as every known device exposes. It bounds the sum of
/// all live mappings of one guest.
pub const SHMEM_REGION_SIZE: u64 = 1 << 32;

/// `pfn` that means "no memory" when [`Features::USE_SHMEM`] is in force: the first page past the
/// region, because 0 is a valid offset there (*wire*).
///
/// [`Features::USE_SHMEM`]: crate::wire::Features::USE_SHMEM
pub const NO_PFN_SHMEM: u64 = SHMEM_REGION_SIZE >> PAGE_SHIFT;

/// `pfn` that means "no memory" when page numbers are absolute guest-physical ones (*wire*).
pub const NO_PFN_ABSOLUTE: u64 = 0;

/// Most VFDs one message may name, in either direction (*wire*). It equals libwayland's limit of
/// file descriptors per `sendmsg`.
pub const MAX_VFDS_PER_MESSAGE: usize = 28;

/// Size of each buffer a driver posts on the `in` queue (*wire*): one page.
pub const IN_BUFFER_SIZE: usize = 4096;

/// Most data bytes one VFD_SEND or VFD_RECV of ours carries: what fits an `in` buffer beside a
/// header and the largest VFD list, so that any VFD count fits with any data.
pub const MAX_CHUNK: usize = IN_BUFFER_SIZE - SEND_HEADER_SIZE - 4 * MAX_VFDS_PER_MESSAGE;

/// Size of the fixed part of VFD_SEND and VFD_RECV (*wire*).
pub const SEND_HEADER_SIZE: usize = 16;

/// Longest request a driver can put on the `out` queue: one page per descriptor, one descriptor
/// being needed for the reply. Longer input is refused unread.
pub const MAX_REQUEST_SIZE: usize = (QUEUE_SIZE as usize - 1) * 4096;

/// Space a driver must offer for a reply (*wire*): the largest, RESP_VFD_NEW_DMABUF.
pub const MAX_RESPONSE_SIZE: usize = 64;

/// Lowest VFD id a guest may allocate (*wire*); 0 is never valid.
pub const GUEST_ID_MIN: u32 = 1;

/// One past the highest VFD id our drivers allocate, as the known kernel driver does
/// (`MAX_ALLOC`). It bounds the open VFDs created by one guest. Devices accept any id without the
/// two top bits.
pub const GUEST_ID_END: u32 = 0x800;

/// Set in every VFD id the device allocates, clear in every id a guest allocates (*wire*).
pub const HOST_ID_BIT: u32 = 1 << 30;

/// Never set in a VFD id, in either direction (*wire*).
pub const ILLEGAL_ID_BIT: u32 = 1 << 31;

/// Balance each VFD starts with under [`Features::CREDIT`]: about what a Unix stream socket holds
/// (`net.core.wmem_default`, 208 KiB), so that a reader who is late notices no difference.
///
/// [`Features::CREDIT`]: crate::wire::Features::CREDIT
pub const INITIAL_CREDIT: u32 = 256 * 1024;

/// Units each received VFD costs under [`Features::CREDIT`], which bounds the VFDs that wait unread
/// on one VFD to 256 and one message.
///
/// [`Features::CREDIT`]: crate::wire::Features::CREDIT
pub const CREDIT_PER_VFD: u32 = 1024;

/// Size of the name field of VFD_NEW_CTX_NAMED (*wire*). A name of exactly this length has no
/// terminator.
pub const CONTEXT_NAME_SIZE: usize = 32;

/// Largest memory VFD: whole pages whose size fits the 32-bit field of the messages.
pub const MAX_MEMORY_SIZE: u64 = (1 << 32) - PAGE_SIZE;

/// Most VFDs held for one channel whose bytes have not arrived: what Linux carries in one message
/// (`SCM_MAX_FD`). Only a faulty or hostile peer gets there, since every message of a stream socket
/// has a byte.
pub const MAX_PARKED_VFDS: usize = 253;

/// How often the file of one VFD may have grown ([`Request::Refresh`]): each time it is mapped
/// anew, beside all its earlier mappings. Programs that grow files double them, so that this is
/// enough from a page to a megabyte, or from a small window's pixels to a large one's.
///
/// [`Request::Refresh`]: crate::wire::Request::Refresh
pub const MAX_GROWTHS: usize = 8;

/// How long an allocation waits for the host's memory server before it fails. The server answers
/// within a millisecond; this bounds the harm of one that has stopped.
pub const MEMORY_SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Most ordinary pipes carried at once that were sent over one channel: a peer that keeps its ends
/// open holds up no other. Clipboards and drags use one or two.
pub const MAX_PUMPED_PER_CHANNEL: usize = 32;

/// Most ordinary pipes carried at once for one device. Each costs two descriptors of this process,
/// half of whose usual 1024 they leave alone.
pub const MAX_PUMPED_PIPES: usize = 256;

/// How soon a pumped pipe is tried again when the driver had no room for its data, and does not say
/// before when it has. Twice as late each time this was in vain, up to [`PUMP_RETRY_MAX`].
pub const PUMP_RETRY: Duration = Duration::from_millis(2);

/// See [`PUMP_RETRY`]: a peer that never reads must not cost more than a few wake-ups per second.
pub const PUMP_RETRY_MAX: Duration = Duration::from_millis(250);

const _: () = {
    assert!(MAX_CHUNK == 3968);
    assert!(NO_PFN_SHMEM == 0x10_0000);
    assert!(PAGE_SIZE == 1 << PAGE_SHIFT);
};
