//! The memory server's session: any bytes in chunks of any size give one answer for each
//! whole request. The first byte of the input is the size of a chunk.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memfd_server::session;

fuzz_target!(|data: &[u8]| {
    if let Some((chunk, bytes)) = data.split_first() {
        session::exercise(bytes, (*chunk).into());
    }
});
