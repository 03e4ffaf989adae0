//! A guest and its host peers who do whatever they like, to the real device.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vhost_device_wl::model::run(data));
