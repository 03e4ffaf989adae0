use std::fs::File;

use super::objects::SERVER_IDS;
use super::*;

/// A message in the wire format.
fn message(object: u32, opcode: u16, arguments: &[u32]) -> Vec<u8> {
    let length = (HEADER + 4 * arguments.len()) as u32;
    let header = [object, length << 16 | u32::from(opcode)];
    let words = header.iter().chain(arguments);
    words.flat_map(|word| word.to_ne_bytes()).collect()
}

fn get_registry(id: u32) -> Vec<u8> {
    message(1, 1, &[id])
}

fn bind_shm(registry: u32, id: u32) -> Vec<u8> {
    let text = |t: &[u8; 4]| u32::from_ne_bytes(*t);
    message(registry, 0, &[7, 7, text(b"wl_s"), text(b"hm\0\0"), 1, id])
}

fn create_pool(shm: u32, id: u32) -> Vec<u8> {
    message(shm, 0, &[id, 4096])
}

fn sync(id: u32) -> Vec<u8> {
    message(1, 0, &[id])
}

fn fds(count: usize) -> Vec<OwnedFd> {
    let open = || File::open("/dev/null").unwrap().into();
    (0..count).map(|_| open()).collect()
}

#[test]
fn test_incomplete_message_waits_for_its_rest() {
    let mut inbound = Messages::default();
    let whole = sync(3);
    inbound.push(&whole[..7], Vec::new()).unwrap();
    assert!(inbound.next().unwrap().bytes.is_empty());
    inbound.push(&whole[7..], Vec::new()).unwrap();
    assert_eq!(inbound.next().unwrap().bytes, whole);
}

#[test]
fn test_lengths_no_message_can_have_are_refused() {
    for length in [0u32, 4, 7, 10, 4100, 0xffff] {
        let mut inbound = Messages::default();
        let header: Vec<u8> = [1, length << 16]
            .iter()
            .flat_map(|w: &u32| w.to_ne_bytes())
            .collect();
        inbound.push(&header, Vec::new()).unwrap();
        let error = inbound.next().unwrap_err();
        assert_eq!(error, Violation::Length(length as u16));
    }
}

#[test]
fn test_longest_message_passes() {
    let mut inbound = Messages::default();
    // Backends of clients pad nothing, but what follows the arguments is no fault.
    let longest = message(1, 0, &vec![3; (BYTES_PER_TURN - HEADER) / 4]);
    inbound.push(&longest, Vec::new()).unwrap();
    assert_eq!(inbound.next().unwrap().bytes.len(), BYTES_PER_TURN);
}

#[test]
fn test_fd_stays_back_until_a_message_takes_it() {
    let mut inbound = Messages::default();
    let start = [get_registry(2), bind_shm(2, 3)].concat();
    inbound.push(&start, fds(1)).unwrap();
    assert_eq!(inbound.next().unwrap().fds.len(), 0);
    inbound.push(&create_pool(3, 4), Vec::new()).unwrap();
    assert_eq!(inbound.next().unwrap().fds.len(), 1);
}

#[test]
fn test_28_pools_in_one_delivery_arrive_with_their_fds_in_turns() {
    let mut inbound = Messages::default();
    let mut bytes = [get_registry(2), bind_shm(2, 3)].concat();
    (0..28).for_each(|n| bytes.extend(create_pool(3, 10 + n)));
    inbound.push(&bytes, fds(28)).unwrap();
    let (mut turns, mut taken, mut out) = (0, 0, Vec::new());
    while taken < 28 {
        let chunk = inbound.next().unwrap();
        assert!(chunk.fds.len() <= FDS_PER_TURN);
        (turns, taken) = (turns + 1, taken + chunk.fds.len());
        out.extend(chunk.bytes);
    }
    assert_eq!((turns, out), (28usize.div_ceil(FDS_PER_TURN), bytes));
}

#[test]
fn test_fds_nobody_takes_end_the_client() {
    let mut inbound = Messages::default();
    let mut result = Ok(());
    let mut sent = 0;
    while result.is_ok() {
        result = inbound.push(&sync(3), fds(28));
        sent += 28;
        assert!(inbound.next().unwrap().fds.is_empty());
    }
    assert_eq!(result, Err(Violation::IdleFds));
    assert!(sent <= MAX_WAITING_FDS + MAX_FDS);
}

#[test]
fn test_pool_without_fd_ends_the_client() {
    let mut inbound = Messages::default();
    let bytes = [get_registry(2), bind_shm(2, 3), create_pool(3, 4)].concat();
    inbound.push(&bytes, Vec::new()).unwrap();
    assert_eq!(inbound.next().unwrap_err(), Violation::MissingFd(3));
}

/// What a client that asked for the registry gets for one more message.
fn after_registry(bytes: &[u8]) -> Result<(), Violation> {
    let mut inbound = Messages::default();
    inbound.push(&get_registry(2), Vec::new()).unwrap();
    inbound.push(bytes, Vec::new()).unwrap();
    inbound.next().map(drop)
}

#[test]
fn test_messages_that_do_not_fit_their_object_end_the_client() {
    let text = |t: &[u8; 4]| u32::from_ne_bytes(*t);
    let bind = |arguments: &[u32]| after_registry(&message(2, 0, arguments));
    assert_eq!(after_registry(&sync(3)), Ok(()));
    assert_eq!(
        after_registry(&message(9, 0, &[])),
        Err(Violation::Object(9))
    );
    assert_eq!(
        after_registry(&message(1, 2, &[])),
        Err(Violation::Opcode("wl_display", 2))
    );
    assert_eq!(
        after_registry(&message(1, 0, &[])),
        Err(Violation::Arguments("sync"))
    );
    for id in [0, 1, SERVER_IDS, u32::MAX] {
        assert_eq!(after_registry(&sync(id)), Err(Violation::NewId(id)));
    }
    assert_eq!(bind(&[7, 7, text(b"wl_s"), text(b"hm\0\0"), 1, 3]), Ok(()));
    assert_eq!(
        bind(&[7, 7, text(b"wl_s"), text(b"hx\0\0"), 1, 3]),
        Err(Violation::Global)
    );
    assert_eq!(
        bind(&[7, 8, text(b"wl_s"), text(b"hm\0\0"), 1, 3]),
        Err(Violation::Global)
    );
    assert_eq!(
        bind(&[7, 6, text(b"wl_s"), text(b"hm\0\0"), 1, 3]),
        Err(Violation::Arguments("bind"))
    );
    for short in [&[7, u32::MAX, 0, 0, 1, 3][..], &[7, 0], &[7], &[]] {
        assert_eq!(bind(short), Err(Violation::Arguments("bind")));
    }
}

#[test]
fn test_null_strings_end_the_client() {
    // wl_data_offer.receive without a type: the generated code would panic.
    let mut inbound = Messages::default();
    inbound.push(&message(SERVER_IDS, 1, &[0]), fds(1)).unwrap();
    assert_eq!(inbound.next().unwrap_err(), Violation::Arguments("receive"));
    // wl_data_offer.accept may have none.
    let mut inbound = Messages::default();
    inbound
        .push(&message(SERVER_IDS, 0, &[1, 0]), Vec::new())
        .unwrap();
    assert!(inbound.next().is_ok());
}

#[test]
fn test_data_offers_take_an_fd_to_receive() {
    let mut inbound = Messages::default();
    let receive = message(SERVER_IDS, 1, &[4, 0]);
    inbound.push(&receive, fds(1)).unwrap();
    assert_eq!(inbound.next().unwrap().fds.len(), 1);
}

#[test]
fn test_one_turn_never_hands_on_more_than_its_budget() {
    let mut inbound = Messages::default();
    let many: Vec<u8> = (0..1000).flat_map(|n| sync(3 + n)).collect();
    inbound.push(&many, Vec::new()).unwrap();
    let mut out = Vec::new();
    loop {
        let chunk = inbound.next().unwrap();
        if chunk.bytes.is_empty() {
            break;
        }
        assert!(chunk.bytes.len() <= BYTES_PER_TURN);
        out.extend(chunk.bytes);
    }
    assert_eq!(out, many);
}

/// `Objects` takes every object of the server's for a data offer.
#[test]
fn test_servers_make_data_offers_only() {
    use wayland_backend::protocol::Interface;
    use wayland_client::Proxy;
    use wayland_client::protocol as wl;
    use wayland_protocols::wp::viewporter::client as viewporter;
    use wayland_protocols::xdg::decoration::zv1::client as decoration;
    use wayland_protocols::xdg::shell::client as xdg;

    let mut todo: Vec<&'static Interface> = vec![
        wl::wl_display::WlDisplay::interface(),
        wl::wl_registry::WlRegistry::interface(),
        wl::wl_compositor::WlCompositor::interface(),
        wl::wl_subcompositor::WlSubcompositor::interface(),
        wl::wl_shm::WlShm::interface(),
        wl::wl_seat::WlSeat::interface(),
        wl::wl_output::WlOutput::interface(),
        wl::wl_data_device_manager::WlDataDeviceManager::interface(),
        xdg::xdg_wm_base::XdgWmBase::interface(),
        decoration::zxdg_decoration_manager_v1::ZxdgDecorationManagerV1::interface(),
        viewporter::wp_viewporter::WpViewporter::interface(),
    ];
    let mut seen: Vec<&'static Interface> = Vec::new();
    let mut made = Vec::new();
    while let Some(interface) = todo.pop() {
        if seen.iter().any(|s| s.name == interface.name) {
            continue;
        }
        seen.push(interface);
        made.extend(
            interface
                .events
                .iter()
                .filter_map(|event| event.child_interface),
        );
        let messages = interface.requests.iter().chain(interface.events);
        todo.extend(messages.filter_map(|m| m.child_interface));
    }
    let names: Vec<_> = made.iter().map(|interface| interface.name).collect();
    assert_eq!(names, ["wl_data_offer"]);
}
