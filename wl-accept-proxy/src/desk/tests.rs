//! The desk with a model of the device: single cases, then any sequence of events.

mod model;
mod sequences;

use std::time::Duration;

use model::World;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn a_connection_is_registered_before_it_is_announced() {
    let mut world = World::ready(&["work"]);
    world.accept("work");
    assert!(
        world.announced.is_empty(),
        "not before the device has answered"
    );
    world.run();
    let [record] = &world.announced[..] else {
        panic!("{:?}", world.announced);
    };
    assert_eq!(record.connection.as_str(), "wl-conn-0");
    assert_eq!(record.vm_name.as_str(), "work");
    assert!(world.device.table.contains_key("wl-conn-0"));
}

#[test]
fn nothing_is_accepted_while_nobody_could_claim_it() {
    let mut world = World::new(&["work"]);
    let work = VmName::new("work").unwrap();
    assert!(!world.desk.has_room(&work), "no device, no reader");
    world.desk.device_up();
    world.run();
    assert!(!world.desk.has_room(&work), "no reader");
    world.desk.reader_up();
    assert!(world.desk.has_room(&work));
    world.device_restart();
    assert!(!world.desk.has_room(&work), "no device");
}

#[test]
fn the_listening_entry_replaces_that_of_an_earlier_run() {
    let mut world = World::new(&["work"]);
    world.device.listening = Some("/old".into());
    world.desk.device_up();
    world.run();
    assert_eq!(
        world.device.listening.as_deref(),
        Some("/announce".as_ref())
    );
}

#[test]
fn unclaimed_connections_are_closed_in_time_and_claimed_ones_are_not() {
    let mut world = World::ready(&["work"]);
    let (lost, kept) = (world.accept("work"), world.accept("work"));
    world.run();
    world.claim("wl-conn-1");
    world.pass(TIMEOUT - Duration::from_millis(1));
    assert!(lost.upgrade().is_some());
    world.pass(Duration::from_millis(1));
    assert!(lost.upgrade().is_none(), "closed");
    assert!(kept.upgrade().is_some(), "the guest has it");
    assert_eq!(world.desk.tick(world.now), None, "nothing left to do");
}

#[test]
fn a_flood_takes_no_more_than_the_vms_share() {
    let vms: Vec<_> = (0..16).map(|n| format!("vm{n}")).collect();
    let vms: Vec<&str> = vms.iter().map(String::as_str).collect();
    let mut world = World::ready(&vms);
    let (flooder, other) = (VmName::new("vm0").unwrap(), VmName::new("vm1").unwrap());
    let mut accepted = 0;
    while world.desk.has_room(&flooder) {
        world.accept("vm0");
        accepted += 1;
    }
    assert_eq!(accepted, MAX_WAITING / 16);
    assert!(world.desk.has_room(&other));
    world.run();
    assert!(
        !world.desk.has_room(&flooder),
        "registered is not yet claimed"
    );
    world.claim("wl-conn-0");
    assert!(!world.desk.has_room(&flooder), "nobody has looked yet");
    world.pass(AGAIN);
    assert!(world.desk.has_room(&flooder));
}

#[test]
fn connections_in_hand_survive_a_restart_of_the_device() {
    let mut world = World::ready(&["work"]);
    let connection = world.accept("work");
    // Sent, and the device dies before it answers.
    while let Some(effect) = world.desk.next_effect() {
        drop(effect);
    }
    world.device_restart();
    assert!(connection.upgrade().is_some());
    world.desk.device_up();
    world.desk.reader_up();
    world.run();
    assert_eq!(world.announced.len(), 1);
}

#[test]
fn a_new_reader_is_told_of_all_that_wait() {
    let mut world = World::ready(&["work"]);
    world.accept("work");
    world.run();
    world.desk.reader_down();
    world.announced.clear();
    world.accept("work");
    world.run();
    assert!(world.announced.is_empty());
    world.desk.reader_up();
    world.run();
    let names: Vec<_> = world
        .announced
        .iter()
        .map(|r| r.connection.as_str())
        .collect();
    assert_eq!(names, ["wl-conn-0", "wl-conn-1"]);
}

#[test]
fn what_an_earlier_run_left_is_closed_in_time() {
    let mut world = World::new(&["work"]);
    let left = world.device.left_behind();
    world.desk.device_up();
    world.run();
    world.pass(TIMEOUT - Duration::from_millis(1));
    assert!(left.upgrade().is_some());
    world.pass(Duration::from_millis(1));
    assert!(left.upgrade().is_none());
}

#[test]
fn a_device_without_room_is_asked_again() {
    let mut world = World::ready(&["work"]);
    world.device.capacity = 0;
    let connection = world.accept("work");
    world.run();
    assert!(connection.upgrade().is_some() && world.announced.is_empty());
    world.device.capacity = 1;
    world.pass(AGAIN);
    assert_eq!(world.announced.len(), 1);
}

#[test]
fn a_removed_vm_loses_what_nobody_has_claimed() {
    let mut world = World::ready(&["work", "home"]);
    let unclaimed = world.accept("work");
    let claimed = world.accept("work");
    let other = world.accept("home");
    world.run();
    world.claim("wl-conn-1");
    world.desk.set_vms(model::labels(&["home"]));
    world.run();
    assert!(unclaimed.upgrade().is_none());
    assert!(claimed.upgrade().is_some() && other.upgrade().is_some());
}

#[test]
fn new_colours_are_those_of_new_connections() {
    let mut world = World::ready(&["work"]);
    let red = virtio_wl::label::Colour::from_rgb(255, 0, 0);
    let labels = model::labels(&["work"]).map(|label| Label {
        colour: red,
        ..label
    });
    world.desk.set_vms(labels);
    world.accept("work");
    world.run();
    assert_eq!(world.announced[0].colour, red);
}

#[test]
fn answers_to_no_request_are_the_devices_fault() {
    let mut world = World::ready(&["work"]);
    let answer = Answer::from(br#"{"name":"x"}"#.to_vec());
    let result = world.desk.answer(&answer, world.now);
    assert!(matches!(result, Err(ControlError::Unexpected)));
}
