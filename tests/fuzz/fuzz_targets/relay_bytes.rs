//! A client and a host that send sommelier whatever they like.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sommelier_compat::relay_bytes::relay_bytes(data));
