//! The messages of virtio_wl: the first byte is the features, the rest a message of each direction.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_wl::wire::{Event, Features, Request, Response};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let mut features = Features::from_bits_truncate(u64::from(choice & 0b1110));
    features.set(Features::CREDIT, choice & 1 != 0);
    features.set(Features::REFRESH, choice & 0b1_0000 != 0);
    let mut again = Vec::new();
    if let Ok(request) = Request::parse(bytes, features) {
        request.encode(features, &mut again);
        assert_eq!(Request::parse(&again, features), Ok(request));
    }
    again.clear();
    if let Ok(event) = Event::parse(bytes, features) {
        event.encode(features, &mut again);
        assert_eq!(Event::parse(&again, features), Ok(event));
    }
    again.clear();
    if let Ok(response) = Response::parse(bytes, features) {
        response.encode(features, &mut again);
        assert_eq!(Response::parse(&again, features), Ok(response));
    }
});
