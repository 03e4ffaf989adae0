use proptest::prelude::*;

use super::*;

/// Operations that look like Wayland more often than random bytes do.
fn operation() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![
        0..12_u32,
        Just(u32::MAX),
        Just(0x7fff_ffff),
        Just(64),
        Just(4096)
    ];
    let message = (0..10_u32, 0..12_u32, prop::collection::vec(small, 0..8));
    let framed = message.prop_map(|(object, opcode, args)| {
        let len = 8 + 4 * args.len() as u32;
        let words = [object, len << 16 | opcode].into_iter().chain(args);
        words.flat_map(u32::to_ne_bytes).collect::<Vec<u8>>()
    });
    prop_oneof![
        6 => (0..3_u8, framed).prop_map(|(kind, bytes)| {
            [&[kind, (bytes.len() / 4) as u8][..], &bytes].concat()
        }),
        1 => Just(vec![3, 0]),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// `create_pool`, `create_buffer`, `attach`, `damage`, `commit`.
#[test]
fn an_ordinary_frame_passes() {
    let message = |object: u32, opcode: u32, args: &[u32]| {
        let len = 8 + 4 * args.len() as u32;
        let words = [&[object, len << 16 | opcode], args].concat();
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        [&[0, (bytes.len() / 4) as u8][..], &bytes].concat()
    };
    let frame = [
        vec![3, 0],
        message(4, 0, &[6, 4096]),
        message(6, 0, &[7, 0, 16, 16, 64, 0]),
        message(5, 1, &[7, 0, 0]),
        message(5, 2, &[0, 0, 16, 16]),
        message(5, 6, &[]),
    ];
    relay_bytes(&frame.concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics(operations in prop::collection::vec(operation(), 0..40)) {
        relay_bytes(&operations.concat());
    }
}
