use proptest::prelude::*;

use super::*;

fn golden() -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[0..8].copy_from_slice(&[0x34, 0x12, 0, 0, 0, 0, 0, 0]);
    bytes[8..14].copy_from_slice(b"keymap");
    bytes
}

#[test]
fn golden_bytes() {
    let request = MemfdRequest {
        size: 0x1234,
        label: Label::lossy("keymap"),
    };
    assert_eq!(request.encode(), golden());
    assert_eq!(MemfdRequest::parse(&golden()), Ok(request));
}

#[test]
fn a_label_may_fill_its_field() {
    let request = MemfdRequest {
        size: u64::MAX,
        label: Label::lossy(&"x".repeat(40)),
    };
    assert_eq!(request.label.as_str().len(), MAX_LABEL_BYTES);
    assert_eq!(MemfdRequest::parse(&request.encode()), Ok(request));
}

#[test]
fn lossy_labels_are_printable() {
    assert_eq!(Label::lossy("a\nb\u{e9}\0c d").as_str(), "a?b??c d");
}

#[test]
fn malformed_requests_are_named() {
    let mut bytes = golden();
    bytes[0..8].fill(0);
    assert_eq!(
        MemfdRequest::parse(&bytes),
        Err(MemfdRequestError::ZeroSize)
    );
    let mut bytes = golden();
    bytes[39] = b'x';
    assert_eq!(
        MemfdRequest::parse(&bytes),
        Err(MemfdRequestError::LabelPadding)
    );
    let mut bytes = golden();
    bytes[9] = 0x1b;
    assert_eq!(
        MemfdRequest::parse(&bytes),
        Err(MemfdRequestError::LabelCharacter)
    );
}

#[test]
fn statuses_are_linux_errnos() {
    assert_eq!(MemfdStatus::QUOTA, MemfdStatus(122));
    assert!(MemfdStatus::OK.into_result().is_ok());
    let error = MemfdStatus::QUOTA.into_result().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EDQUOT));
}

proptest! {
    #[test]
    fn what_parses_encodes_to_the_same_bytes(at in 0..REQUEST_BYTES, value: u8) {
        let mut bytes = golden();
        bytes[at] = value;
        if let Ok(request) = MemfdRequest::parse(&bytes) {
            prop_assert_eq!(request.encode(), bytes);
        }
    }
}
