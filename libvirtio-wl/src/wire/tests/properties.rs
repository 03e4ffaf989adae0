//! Whatever comes, parsing ends in a value or an error, and a value is what its bytes say.

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::wire::{
    ContextName, DmabufLayout, DmabufSync, Event, Features, MemoryRange, MsgType, PipeDirection,
    Request, Response, SendItem, VfdFlags, VfdId, VfdInfo,
};

fn features() -> impl Strategy<Value = Features> {
    any::<u64>().prop_map(Features::from_bits_truncate)
}

fn any_id() -> impl Strategy<Value = VfdId> {
    (1_u32..0x8000_0000).prop_map(|raw| VfdId::new(raw).expect("in range"))
}

fn guest_id() -> impl Strategy<Value = VfdId> {
    (1_u32..0x4000_0000).prop_map(|raw| VfdId::guest(raw).expect("in range"))
}

fn ids() -> impl Strategy<Value = Vec<VfdId>> {
    vec(any_id(), 0..=28)
}

fn name() -> impl Strategy<Value = ContextName> {
    "[^\0]{0,32}".prop_filter_map("too long in UTF-8", |text| ContextName::new(&text).ok())
}

fn layout() -> impl Strategy<Value = DmabufLayout> {
    any::<[u32; 9]>().prop_map(|words| DmabufLayout {
        width: words[0],
        height: words[1],
        format: words[2],
        strides: [words[3], words[4], words[5]],
        offsets: [words[6], words[7], words[8]],
    })
}

fn item(features: Features) -> BoxedStrategy<SendItem> {
    let plain = prop_oneof![
        any_id().prop_map(SendItem::Local),
        any::<u32>().prop_map(SendItem::VirtGpu),
    ];
    if features.contains(Features::SEND_FENCES) {
        prop_oneof![
            plain,
            any::<u64>().prop_map(SendItem::VirtGpuFence),
            Just(SendItem::VirtGpuSignaledFence),
        ]
        .boxed()
    } else {
        plain.boxed()
    }
}

fn memory() -> impl Strategy<Value = Option<MemoryRange>> {
    // Page 0 means "no memory" in one of the two modes.
    option::of((1_u64..0x8_0000, 1_u32..0x8000_0000))
        .prop_map(|range| range.map(|(pfn, size)| MemoryRange { pfn, size }))
}

fn info(id: impl Strategy<Value = VfdId>) -> impl Strategy<Value = VfdInfo> {
    (id, 0_u32..16, memory()).prop_map(|(id, flags, memory)| VfdInfo {
        id,
        flags: VfdFlags::from_bits_retain(flags),
        memory,
    })
}

/// Bytes that get past the first checks more often than chance.
fn likely_message() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        select(MsgType::ALL).prop_map(|kind| kind as u32),
        any::<u32>()
    ];
    let word = prop_oneof![Just(0), 0_u32..40, Just(0x4000_0001), any::<u32>()];
    (kind, vec(word, 0..40), vec(any::<u8>(), 0..8)).prop_map(|(kind, words, tail)| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(tail);
        bytes
    })
}

/// Whether every byte of this request has one meaning, so that none can be lost.
fn is_exact(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Close { .. }
            | Request::Send { .. }
            | Request::DmabufSync { .. }
            | Request::Credit { .. }
            | Request::Refresh { .. }
    )
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in vec(any::<u8>(), 0..200), features in features()) {
        let _ = Request::parse(&bytes, features);
        let _ = Event::parse(&bytes, features);
        let _ = Response::parse(&bytes, features);
    }

    #[test]
    fn requests_keep_their_meaning(bytes in likely_message(), features in features()) {
        let Ok(request) = Request::parse(&bytes, features) else { return Ok(()) };
        let mut again = Vec::new();
        request.encode(features, &mut again);
        if is_exact(&request) {
            prop_assert_eq!(&again, &bytes);
        }
        prop_assert_eq!(Request::parse(&again, features), Ok(request));
    }

    #[test]
    fn events_keep_their_meaning(bytes in likely_message(), features in features()) {
        let Ok(event) = Event::parse(&bytes, features) else { return Ok(()) };
        let mut again = Vec::new();
        event.encode(features, &mut again);
        if !matches!(event, Event::VfdNew(_)) {
            prop_assert_eq!(&again, &bytes);
        }
        prop_assert_eq!(Event::parse(&again, features), Ok(event));
    }

    #[test]
    fn responses_keep_their_meaning(bytes in likely_message(), features in features()) {
        let Ok(response) = Response::parse(&bytes, features) else { return Ok(()) };
        let mut again = Vec::new();
        response.encode(features, &mut again);
        prop_assert_eq!(Response::parse(&again, features), Ok(response));
    }

    #[test]
    fn sends_of_any_kind(
        (features, items) in features().prop_flat_map(|f| (Just(f), vec(item(f), 0..=28))),
        id in any_id(),
        vfds in ids(),
        data in vec(any::<u8>(), 1..100),
    ) {
        for request in [
            Request::Send { id, vfds, data: &data },
            Request::SendForeign { id, items, data: &data },
        ] {
            let mut bytes = Vec::new();
            request.encode(features, &mut bytes);
            prop_assert_eq!(Request::parse(&bytes, features), Ok(request));
        }
    }

    #[test]
    fn creations_of_any_kind(
        id in guest_id(),
        name in name(),
        size in 1_u32..,
        layout in layout(),
        sync in 0_u32..8,
        features in features(),
    ) {
        for request in [
            Request::NewContext { id, name },
            Request::NewMemory { id, flags: VfdFlags::empty(), size },
            Request::NewPipe { id, direction: PipeDirection::Read },
            Request::NewDmabuf { id, layout },
            Request::DmabufSync { id, flags: DmabufSync::from_bits_retain(sync) },
        ] {
            let mut bytes = Vec::new();
            request.encode(features, &mut bytes);
            prop_assert_eq!(Request::parse(&bytes, features), Ok(request));
        }
    }

    #[test]
    fn announcements_of_any_kind(
        info in info((0x4000_0000_u32..0x8000_0000).prop_map(|raw| VfdId::host(raw).unwrap())),
        layout in layout(),
        features in features(),
    ) {
        let event = Event::VfdNew(info);
        let mut bytes = Vec::new();
        event.encode(features, &mut bytes);
        prop_assert_eq!(Event::parse(&bytes, features), Ok(event));
        for response in [Response::VfdNew(info), Response::VfdNewDmabuf(info, layout)] {
            let mut bytes = Vec::new();
            response.encode(features, &mut bytes);
            prop_assert_eq!(Response::parse(&bytes, features), Ok(response));
        }
    }
}
