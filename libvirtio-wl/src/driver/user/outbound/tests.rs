use super::*;
use crate::driver::user::{layout::MEMORY_SIZE, mock::DeviceRing};

fn pair() -> (Outbound, DeviceRing, Arc<GuestMemory>) {
    let memory = Arc::new(GuestMemory::new(MEMORY_SIZE).unwrap());
    let device = DeviceRing::new(&memory, RingLayout::of(QUEUE_OUT));
    (Outbound::new(Arc::clone(&memory)), device, memory)
}

fn id(raw: u32) -> VfdId {
    VfdId::new(raw).unwrap()
}

#[test]
fn a_request_is_its_parts_in_a_row() {
    let (mut outbound, mut device, memory) = pair();
    assert!(outbound.post([&b"head"[..], b"", b"data"], Purpose::Send(id(5))));
    let (head, chain) = device.pop().unwrap();
    let [(address, 8, false), (reply, 64, true)] = chain[..] else {
        panic!("{chain:?}");
    };
    let mut bytes = [0; 8];
    memory.read(address, &mut bytes);
    assert_eq!(&bytes, b"headdata");

    memory.write(reply, b"reply");
    device.push(head.into(), 5);
    let finished = outbound.reap().unwrap().unwrap();
    assert_eq!(finished.purpose, Purpose::Send(id(5)));
    assert_eq!(finished.reply(), b"reply");
    assert!(outbound.reap().unwrap().is_none());
}

#[test]
fn slots_run_out_and_come_back_in_any_order() {
    let (mut outbound, mut device, _) = pair();
    for n in 1..=u32::from(SLOTS) {
        assert!(outbound.post([&b"x"[..]], Purpose::Send(id(n))));
    }
    assert_eq!(outbound.free(), 0);
    assert!(!outbound.post([&b"x"[..]], Purpose::Send(id(999))));
    let mut heads: Vec<_> = std::iter::from_fn(|| device.pop())
        .map(|(head, _)| head)
        .collect();
    heads.reverse();
    for head in heads {
        device.push(head.into(), 0);
    }
    let mut purposes: Vec<_> = std::iter::from_fn(|| outbound.reap().unwrap())
        .map(|finished| finished.purpose)
        .collect();
    purposes.reverse();
    let expected: Vec<_> = (1..=u32::from(SLOTS))
        .map(|n| Purpose::Send(id(n)))
        .collect();
    assert_eq!(purposes, expected);
    assert_eq!(outbound.free(), usize::from(SLOTS));
}

#[test]
fn faults_of_the_device_are_noticed() {
    for (head, fault) in [
        (1, OutboundFault::NotPosted(1)),
        (2, OutboundFault::NotPosted(2)),
    ] {
        let (mut outbound, mut device, _) = pair();
        outbound.post([&b"x"[..]], Purpose::Send(id(1)));
        assert_eq!(device.pop().unwrap().0, 0);
        device.push(head, 0);
        assert_eq!(outbound.reap().unwrap_err(), fault);
    }
    let (mut outbound, mut device, _) = pair();
    outbound.post([&b"x"[..]], Purpose::Send(id(1)));
    device.push(0, 65);
    assert_eq!(outbound.reap().unwrap_err(), OutboundFault::Length(65));
}
