use super::*;
use crate::driver::user::{layout::MEMORY_SIZE, mock::DeviceRing};

fn pair() -> (Ring, DeviceRing) {
    let memory = Arc::new(GuestMemory::new(MEMORY_SIZE).unwrap());
    let layout = RingLayout::of(0);
    let device = DeviceRing::new(&memory, layout);
    (Ring::new(memory, layout), device)
}

fn describe(ring: &Ring, index: u16) {
    ring.describe(
        index,
        Descriptor {
            address: 0x1000 + u32::from(index),
            len: 10,
            writable: true,
            next: None,
        },
    );
}

#[test]
fn a_chain_reads_as_it_was_described() {
    let (mut ring, mut device) = pair();
    let request = Descriptor {
        address: 0x10_2000,
        len: 77,
        writable: false,
        next: Some(9),
    };
    let reply = Descriptor {
        address: 0x10_4000,
        len: 64,
        writable: true,
        next: None,
    };
    ring.describe(4, request);
    ring.describe(9, reply);
    ring.publish(4);
    let chain = vec![(0x10_2000, 77, false), (0x10_4000, 64, true)];
    assert_eq!(device.pop(), Some((4, chain)));
    assert_eq!(device.pop(), None);
}

#[test]
fn chains_go_round_past_the_end_of_the_indices() {
    let (mut ring, mut device) = pair();
    for index in 0..QUEUE_SIZE {
        describe(&ring, index);
    }
    for round in 0..70_000_u32 {
        let head = (round * 7 % u32::from(QUEUE_SIZE)) as u16;
        assert_eq!(ring.pop_used(), Ok(None));
        ring.publish(head);
        assert_eq!(device.pop().unwrap().0, head);
        device.push(head.into(), round);
        assert_eq!(ring.pop_used(), Ok(Some(Used { head, len: round })));
    }
}

#[test]
fn out_of_order_completion_is_legal() {
    let (mut ring, mut device) = pair();
    for head in [1, 2, 3] {
        describe(&ring, head);
        ring.publish(head);
    }
    for head in [3, 1, 2] {
        device.push(head, 0);
    }
    let heads = std::iter::from_fn(|| ring.pop_used().unwrap()).map(|used| used.head);
    assert_eq!(heads.collect::<Vec<_>>(), [3, 1, 2]);
}

#[test]
fn more_used_than_available_is_a_fault() {
    let (mut ring, device) = pair();
    ring.publish(0);
    device.set_used(2);
    let fault = RingFault::Index {
        used: 2,
        available: 1,
    };
    assert_eq!(ring.pop_used(), Err(fault));
    device.set_used(u16::MAX);
    assert!(ring.pop_used().is_err());
}

#[test]
fn an_unknown_descriptor_is_a_fault() {
    let (mut ring, mut device) = pair();
    ring.publish(0);
    ring.publish(1);
    device.push(256, 0);
    assert_eq!(ring.pop_used(), Err(RingFault::Descriptor(256)));
    device.push(0x1_0001, 0);
    assert_eq!(ring.pop_used(), Err(RingFault::Descriptor(0x1_0001)));
}

#[test]
fn kicks_only_when_the_device_asks() {
    let (mut ring, device) = pair();
    // A device that sleeps from the start waits for the first chain.
    ring.publish(0);
    assert!(ring.needs_kick());
    assert!(!ring.needs_kick(), "nothing new");
    // One that is busy has left its event behind.
    ring.publish(1);
    ring.publish(2);
    assert!(!ring.needs_kick());
    // It has seen three, and sleeps again.
    device.set_avail_event(3);
    assert!(!ring.needs_kick(), "nothing new");
    ring.publish(3);
    assert!(ring.needs_kick());
    // It wants to hear of the sixth, which comes in a batch.
    device.set_avail_event(5);
    ring.publish(4);
    assert!(!ring.needs_kick());
    ring.publish(5);
    ring.publish(6);
    assert!(ring.needs_kick());
}

#[test]
fn arming_asks_for_the_next_and_sees_what_came_before() {
    let (mut ring, mut device) = pair();
    ring.publish(0);
    ring.publish(1);
    assert!(!ring.arm());
    assert_eq!(device.used_event(), 0);
    device.push(0, 0);
    assert!(ring.arm(), "came before the arming");
    ring.pop_used().unwrap();
    assert!(!ring.arm());
    assert_eq!(device.used_event(), 1);
    ring.disarm();
    assert!(!need_event(device.used_event(), 2, 1));
}

#[test]
fn events_are_passed_across_the_wrap() {
    assert!(need_event(5, 6, 5));
    assert!(!need_event(5, 5, 5));
    assert!(!need_event(6, 6, 5));
    assert!(need_event(u16::MAX, 0, u16::MAX));
    assert!(need_event(0, 3, u16::MAX));
    assert!(!need_event(4, 3, u16::MAX));
}
