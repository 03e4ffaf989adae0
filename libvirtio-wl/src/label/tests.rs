use super::*;

#[test]
fn names_take_exactly_the_documented_alphabet() {
    for byte in 0..=u8::MAX {
        let expected =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-".contains(&byte);
        let name = VmName::new(char::from(byte));
        assert_eq!(name.is_ok(), expected, "byte {byte:#x}: {name:?}");
    }
}

#[test]
fn names_are_1_to_63_bytes() {
    assert_eq!(VmName::new(""), Err(LabelError::NameLength { len: 0 }));
    assert!(VmName::new("x".repeat(63)).is_ok());
    assert_eq!(
        VmName::new("x".repeat(64)),
        Err(LabelError::NameLength { len: 64 })
    );
}

#[test]
fn the_offending_byte_is_named() {
    assert_eq!(
        VmName::new("work\u{202e}"),
        Err(LabelError::NameCharacter { at: 4 })
    );
    assert_eq!(VmName::new("a b"), Err(LabelError::NameCharacter { at: 1 }));
}

#[test]
fn colours_round_trip() {
    let colour: Colour = "#0A64ff".parse().unwrap();
    assert_eq!(colour.to_u32(), 0x000a_64ff);
    assert_eq!(colour.to_rgb(), [0x0a, 0x64, 0xff]);
    assert_eq!(colour.to_string(), "#0a64ff");
    assert_eq!(Colour::from_rgb(0x0a, 0x64, 0xff), colour);
    assert_eq!(Colour::from_u32(0x000a_64ff), Ok(colour));
}

#[test]
fn malformed_colours_are_refused() {
    for text in [
        "", "0a64ff", "#0a64f", "#0a64fff", "#+a64ff", "#0a64fg", "#é123",
    ] {
        assert_eq!(
            text.parse::<Colour>(),
            Err(LabelError::ColourSyntax),
            "{text}"
        );
    }
    assert_eq!(
        Colour::from_u32(0x0100_0000),
        Err(LabelError::ColourRange { value: 0x0100_0000 })
    );
}
