//! Accept records: whatever is accepted is exactly what would have been written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_wl::accept_record::{AcceptRecord, RECORD_BYTES};

fuzz_target!(|data: &[u8]| {
    let (records, _) = data.as_chunks::<RECORD_BYTES>();
    for bytes in records {
        if let Ok(record) = AcceptRecord::parse(bytes) {
            assert_eq!(record.encode(), *bytes);
        }
    }
});
