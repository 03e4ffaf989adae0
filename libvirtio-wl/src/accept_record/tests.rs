use proptest::prelude::*;

use super::*;

fn sample() -> AcceptRecord {
    AcceptRecord {
        vm_id: VmId(0x0403_0201),
        colour: Colour::from_rgb(0xaa, 0xbb, 0xcc),
        connection: ConnectionName::new("wl-conn-7").unwrap(),
        vm_name: VmName::new("work").unwrap(),
    }
}

/// The layout of the module documentation, written out by hand.
fn golden() -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[0..2].copy_from_slice(&[1, 0]);
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    bytes[8..12].copy_from_slice(&[0xcc, 0xbb, 0xaa, 0]);
    bytes[16..25].copy_from_slice(b"wl-conn-7");
    bytes[48..52].copy_from_slice(b"work");
    bytes
}

fn parse_with(at: usize, value: u8) -> Result<AcceptRecord, AcceptRecordError> {
    let mut bytes = golden();
    bytes[at] = value;
    AcceptRecord::parse(&bytes)
}

#[test]
fn golden_bytes() {
    assert_eq!(sample().encode(), golden());
    assert_eq!(AcceptRecord::parse(&golden()), Ok(sample()));
}

#[test]
fn longest_names_keep_one_nul() {
    let record = AcceptRecord {
        connection: ConnectionName::new("c".repeat(31)).unwrap(),
        vm_name: VmName::new("v".repeat(63)).unwrap(),
        ..sample()
    };
    let bytes = record.encode();
    assert_eq!((bytes[47], bytes[111]), (0, 0));
    assert_eq!(AcceptRecord::parse(&bytes), Ok(record));
    assert!(ConnectionName::new("c".repeat(32)).is_err());
}

#[test]
fn every_malformed_field_has_its_own_error() {
    use AcceptRecordError as E;
    assert_eq!(parse_with(0, 2), Err(E::Version { version: 2 }));
    assert_eq!(parse_with(1, 1), Err(E::Version { version: 0x101 }));
    assert_eq!(parse_with(2, 1), Err(E::Kind { kind: 1 }));
    assert!(matches!(parse_with(11, 1), Err(E::Colour(_))));
    assert_eq!(parse_with(12, 1), Err(E::Flags { flags: 1 }));
    assert_eq!(parse_with(16, 0), Err(E::ConnectionName));
    assert_eq!(parse_with(17, b' '), Err(E::ConnectionName));
    assert_eq!(parse_with(17, 0xff), Err(E::ConnectionName));
    assert_eq!(parse_with(47, b'x'), Err(E::ConnectionName));
    assert!(matches!(parse_with(48, 0), Err(E::VmNamePadding)));
    assert!(matches!(parse_with(48, b' '), Err(E::VmName(_))));
    assert_eq!(parse_with(48, 0xff), Err(E::VmNamePadding));
    assert_eq!(parse_with(111, b'x'), Err(E::VmNamePadding));
    assert_eq!(parse_with(112, 1), Err(E::Reserved));
    assert_eq!(parse_with(127, 1), Err(E::Reserved));
}

#[test]
fn fields_without_any_nul_are_refused() {
    let mut bytes = golden();
    bytes[16..48].fill(b'a');
    assert_eq!(
        AcceptRecord::parse(&bytes),
        Err(AcceptRecordError::ConnectionName)
    );
    let mut bytes = golden();
    bytes[48..112].fill(b'a');
    assert_eq!(
        AcceptRecord::parse(&bytes),
        Err(AcceptRecordError::VmNamePadding)
    );
}

proptest! {
    #[test]
    fn what_parses_encodes_to_the_same_bytes(at in 0..RECORD_BYTES, value: u8) {
        let mut bytes = golden();
        bytes[at] = value;
        if let Ok(record) = AcceptRecord::parse(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::array::uniform32(prop::array::uniform4(any::<u8>()))) {
        let _ = AcceptRecord::parse(&zerocopy::transmute!(bytes));
    }
}
