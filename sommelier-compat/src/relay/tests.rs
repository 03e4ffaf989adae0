//! Beside the whole-relay tests in `tests/`: what can only be seen from inside.

use std::collections::BTreeMap;

use wayland_backend::protocol::{Interface, MessageDesc};
use wayland_client::Proxy;
use wayland_client::protocol::{wl_display::WlDisplay, wl_registry::WlRegistry};

use super::opcode;
use crate::objects::globals;

/// Every interface that a client can get an object of.
fn reachable() -> BTreeMap<&'static str, &'static Interface> {
    let mut found = BTreeMap::new();
    let mut todo: Vec<&'static Interface> = globals::all().map(|global| global.interface).collect();
    todo.extend([WlDisplay::interface(), WlRegistry::interface()]);
    while let Some(interface) = todo.pop() {
        if found.insert(interface.name, interface).is_none() {
            let messages = interface.requests.iter().chain(interface.events);
            todo.extend(messages.filter_map(|message| message.child_interface));
        }
    }
    found
}

fn message(interface: &Interface, list: &str, index: u16) -> MessageDesc {
    let messages = if list == "requests" {
        interface.requests
    } else {
        interface.events
    };
    messages[usize::from(index)]
}

#[test]
fn opcodes_match_the_protocol_tables() {
    let interfaces = reachable();
    for (index, list, interface, name) in opcode::ALL {
        assert_eq!(
            message(interfaces[interface], list, *index).name,
            *name,
            "{interface}"
        );
    }
}

#[test]
fn every_request_with_a_buffer_or_a_pool_is_rewritten() {
    // Anything else would name an object that the host does not have.
    for interface in reachable().values() {
        for request in interface.requests {
            let rewritten = (interface.name, request.name) == ("wl_surface", "attach");
            for argument in request.arg_interfaces {
                let local = ["wl_buffer", "wl_shm_pool"].contains(&argument.name);
                assert!(!local || rewritten, "{}.{}", interface.name, request.name);
            }
        }
    }
}

#[test]
fn only_bind_creates_objects_of_any_interface() {
    use wayland_backend::protocol::ArgumentType::NewId;
    for interface in reachable().values() {
        for message in interface.requests.iter().chain(interface.events) {
            let untyped = message.signature.contains(&NewId) && message.child_interface.is_none();
            assert_eq!(
                untyped,
                message.name == "bind",
                "{}.{}",
                interface.name,
                message.name
            );
        }
    }
}

#[test]
fn the_requests_that_carry_descriptors_are_all_looked_at() {
    // A descriptor that a device cannot send would end the connection late and
    // without an explanation.
    use wayland_backend::protocol::ArgumentType::Fd;
    let looked_at = [
        ("wl_data_offer", "receive"),
        ("wl_shm", "create_pool"),
        ("zwp_primary_selection_offer_v1", "receive"),
    ];
    let carrying = reachable().into_values().flat_map(|interface| {
        let requests = interface.requests.iter();
        requests
            .filter(|request| request.signature.contains(&Fd))
            .map(|request| (interface.name, request.name))
    });
    assert_eq!(carrying.collect::<Vec<_>>(), looked_at);
}
