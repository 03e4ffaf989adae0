//! Ends: of clients, of VMs, of the compositor. Nothing may stay behind.

use std::time::Instant;

use super::fixture::Fixture;
use super::hostile::Neighbour;
use crate::core::VmId;
use crate::vm::live_surfaces;

#[test]
fn nothing_is_left_of_clients_that_come_and_go() {
    let mut fixture = Fixture::new(&["guest", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let before = live_surfaces();
    for n in 0..100 {
        let id = fixture.connect("guest");
        fixture.window(id, "w", (80, 60), n);
        fixture.key(30, true);
        fixture.disconnect(id);
        fixture.key(30, false);
        fixture.until("the window is gone", |fixture| {
            fixture.find("w").is_none().then_some(())
        });
    }
    neighbour.check_on_top(&mut fixture);
    fixture.until("all surfaces freed", |_| {
        (live_surfaces() == before).then_some(())
    });
}

#[test]
fn nothing_is_left_of_a_compositor() {
    let before = live_surfaces();
    for n in 0..20 {
        let mut fixture = Fixture::new(&["a", "b"]);
        for vm in ["a", "b"] {
            let id = fixture.connect(vm);
            fixture.window(id, vm, (80, 60), n);
        }
        assert_eq!(live_surfaces(), before + 2);
        // With its clients still connected.
        drop(fixture);
        assert_eq!(live_surfaces(), before);
    }
}

#[test]
fn a_vm_that_was_paused_when_its_last_client_left_is_resumed() {
    let mut fixture = Fixture::new(&["a"]);
    let id = fixture.connect("a");
    fixture.disconnect(id);
    fixture.until("the end of the client", |fixture| {
        fixture.compositor.vms().is_empty().then_some(())
    });
    let vm = VmId(VmId::FIRST_TEST);
    fixture.compositor.pause(vm, Instant::now());
    // The next one is served.
    let id = fixture.connect("a");
    fixture.window(id, "w", (80, 60), 1);
}
