//! A guest and its host peers who do whatever they like, to the real device.

#![no_main]

use nix::sys::signal::{SigHandler, Signal, signal};

libfuzzer_sys::fuzz_target!(
    init: {
        // As in any Rust program with a `main`: a pipe without a reader is an error,
        // not the end of the process.
        // SAFETY: ignoring a signal runs no handler.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.expect("SIGPIPE can be ignored");
    },
    |data: &[u8]| vhost_device_wl::model::run(data)
);
