use super::*;
use crate::driver::user::{layout::MEMORY_SIZE, mock::DeviceRing};

fn pair() -> (Inbound, DeviceRing, Arc<GuestMemory>) {
    let memory = Arc::new(GuestMemory::new(MEMORY_SIZE).unwrap());
    let device = DeviceRing::new(&memory, RingLayout::of(QUEUE_IN));
    (Inbound::new(Arc::clone(&memory)), device, memory)
}

#[test]
fn all_buffers_are_posted_once() {
    let (_inbound, mut device, _) = pair();
    let chains: Vec<_> = std::iter::from_fn(|| device.pop()).collect();
    assert_eq!(chains.len(), usize::from(QUEUE_SIZE));
    for (index, (head, chain)) in chains.iter().enumerate() {
        assert_eq!(usize::from(*head), index);
        assert_eq!(*chain, [(layout::in_buffer(*head), 4096, true)]);
    }
}

#[test]
fn a_message_is_copied_and_its_buffer_comes_back() {
    let (mut inbound, mut device, memory) = pair();
    while device.pop().is_some() {}
    memory.write(layout::in_buffer(7), b"message");
    device.push(7, 7);
    let mut message = [0; IN_BUFFER_SIZE];
    let (buffer, len) = inbound.next(&mut message).unwrap().unwrap();
    assert_eq!(&message[..len], b"message");
    assert_eq!(device.pop(), None);
    inbound.give_back(buffer);
    assert_eq!(device.pop().unwrap().0, 7);
}

#[test]
fn faults_of_the_device_are_noticed() {
    let mut message = [0; IN_BUFFER_SIZE];
    let (mut inbound, mut device, _) = pair();
    device.push(3, 4097);
    let fault = InboundFault::Length(4097);
    assert_eq!(inbound.next(&mut message), Err(fault));

    let (mut inbound, mut device, _) = pair();
    device.push(3, 1);
    device.push(3, 1);
    assert!(inbound.next(&mut message).is_ok());
    let fault = InboundFault::NotPosted(3);
    assert_eq!(inbound.next(&mut message), Err(fault));
}
