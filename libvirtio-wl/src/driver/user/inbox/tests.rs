use proptest::prelude::*;

use super::*;

fn id(raw: usize) -> VfdId {
    VfdId::new(raw as u32).unwrap()
}

#[test]
fn vfds_come_before_their_byte_and_not_before() {
    let mut inbox = Inbox::default();
    inbox.push(&[], b"abc");
    inbox.push(&[id(1), id(2)], b"de");
    let mut bytes = [0; 10];
    assert_eq!(inbox.next_vfd(), None);
    assert_eq!(inbox.read(&mut bytes), 3, "up to the VFD");
    assert_eq!(inbox.next_vfd(), Some(id(1)));
    inbox.pop_vfd();
    assert_eq!(inbox.next_vfd(), Some(id(2)));
    inbox.pop_vfd();
    assert_eq!(inbox.next_vfd(), None);
    assert_eq!(inbox.read(&mut bytes), 2);
    assert!(inbox.is_empty());
}

#[test]
fn vfds_without_bytes_wait_for_the_next() {
    let mut inbox = Inbox::default();
    inbox.push(&[id(1)], b"");
    assert!(!inbox.is_empty());
    assert_eq!(inbox.next_vfd(), Some(id(1)));
    assert_eq!(inbox.read(&mut [0; 4]), 0);
}

proptest! {
    /// Whatever the sizes of messages and reads, the stream and the places of its VFDs survive.
    #[test]
    fn any_cut_gives_the_same_stream(
        messages in prop::collection::vec((0_usize..3, 0_usize..50), 0..40),
        reads in prop::collection::vec(1_usize..60, 1..20),
    ) {
        let mut inbox = Inbox::default();
        let mut stream = Vec::new();
        let mut places = Vec::new();
        for (vfds, len) in messages {
            let vfds: Vec<_> = (0..vfds).map(|n| id(1 + places.len() + n)).collect();
            places.extend(vfds.iter().map(|&vfd| (stream.len(), vfd)));
            let data: Vec<_> = (0..len).map(|n| (stream.len() + n) as u8).collect();
            inbox.push(&vfds, &data);
            stream.extend(data);
        }
        let mut seen = Vec::new();
        let mut seen_places = Vec::new();
        for size in reads.iter().cycle() {
            while let Some(vfd) = inbox.next_vfd() {
                seen_places.push((seen.len(), vfd));
                inbox.pop_vfd();
            }
            let mut buffer = vec![0; *size];
            let count = inbox.read(&mut buffer);
            seen.extend_from_slice(&buffer[..count]);
            if inbox.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, stream);
        prop_assert_eq!(seen_places, places);
    }
}
