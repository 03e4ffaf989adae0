//! The allow-list, and the ids behind it.

use wayland_client::protocol::{wl_compositor::WlCompositor, wl_shell, wl_shm::WlShm};

use crate::fixture::Fixture;

#[test]
fn globals_that_are_not_understood_are_hidden_and_versions_capped() {
    let mut fixture = Fixture::new();
    let globals = &fixture.peer().state.globals;
    let version = |wanted: &str| {
        globals
            .iter()
            .find(|(_, interface, _)| interface == wanted)
            .map(|global| global.2)
    };
    assert_eq!(version("wl_shell"), None);
    assert_eq!(version("wl_compositor"), Some(6));
    assert_eq!(
        version("wl_seat"),
        Some(7),
        "never more than the compositor has"
    );
    assert_eq!(version("wl_shm"), Some(1), "the compositor has 2");
}

#[test]
fn binding_a_hidden_global_by_guessing_its_name_is_an_error() {
    let mut fixture = Fixture::new();
    let names: Vec<u32> = fixture
        .peer()
        .state
        .globals
        .iter()
        .map(|global| global.0)
        .collect();
    let hidden = (1..)
        .find(|name| !names.contains(name))
        .expect("one is hidden");
    let peer = fixture.peer();
    let registry = peer.registry.clone();
    let _shell: wl_shell::WlShell = registry.bind(hidden, 1, &peer.handle(), ());
    fixture.settle();
    let (_, code, text) = fixture.peer().error().expect("an error");
    assert_eq!(code, 0, "wl_display.invalid_object");
    assert!(text.contains("invalid name"), "{text}");
}

#[test]
fn binding_with_another_interface_or_version_is_an_error() {
    for (interface, version, complaint) in [
        ("wl_shm", 1, "invalid interface"),
        ("wl_compositor", 7, "invalid version"),
    ] {
        let mut fixture = Fixture::new();
        let peer = fixture.peer();
        let name = peer
            .state
            .globals
            .iter()
            .find(|global| global.1 == "wl_compositor");
        let name = name.expect("a compositor").0;
        if interface == "wl_shm" {
            let _: WlShm = peer.registry.bind(name, version, &peer.handle(), ());
        } else {
            let _: WlCompositor = peer.registry.bind(name, version, &peer.handle(), ());
        }
        fixture.settle();
        let (_, _, text) = fixture.peer().error().expect("an error");
        assert!(text.contains(complaint), "{text}");
    }
}

#[test]
fn ids_are_used_again_for_ever() {
    // With hidden and relay-owned objects in between, client and host ids
    // drift apart; a thousand short-lived objects must still find each other.
    let mut fixture = Fixture::new();
    let compositor: WlCompositor = fixture.peer().bind();
    for round in 0..100 {
        let peer = fixture.peer();
        let handle = peer.handle();
        for _ in 0..10 {
            peer.connection.display().sync(&handle, ());
        }
        let surfaces: Vec<_> = (0..5)
            .map(|_| compositor.create_surface(&handle, ()))
            .collect();
        for surface in surfaces {
            surface.destroy();
        }
        fixture.settle();
        assert_eq!(fixture.peer().state.synced, 10 * (round + 1));
        assert_eq!(fixture.peer().error(), None);
    }
}
