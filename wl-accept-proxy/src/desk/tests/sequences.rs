//! Any sequence of events, with what must hold after each.

use std::collections::HashSet;

use proptest::prelude::*;

use super::model::{World, labels};
use super::*;

#[derive(Clone, Debug)]
enum Op {
    Accept(usize),
    Claim(usize),
    Step,
    Run,
    Pass(u64),
    DeviceRestart,
    DeviceUp,
    ReaderDown,
    ReaderUp,
    Vms(usize),
    Capacity(usize),
}

const VMS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..VMS.len()).prop_map(Op::Accept),
        6 => any::<usize>().prop_map(Op::Claim),
        12 => Just(Op::Step),
        4 => Just(Op::Run),
        4 => (0..12_000_u64).prop_map(Op::Pass),
        1 => Just(Op::DeviceRestart),
        2 => Just(Op::DeviceUp),
        1 => Just(Op::ReaderDown),
        2 => Just(Op::ReaderUp),
        1 => (1..=VMS.len()).prop_map(Op::Vms),
        1 => (0..MAX_WAITING).prop_map(Op::Capacity),
    ]
}

fn apply(world: &mut World, op: &Op) {
    match *op {
        Op::Accept(at) => {
            let vm = VmName::new(VMS[at]).unwrap();
            if world.desk.vms.contains_key(&vm) && world.desk.has_room(&vm) {
                world.accept(VMS[at]);
            }
        }
        Op::Claim(at) => {
            let announced = |name: &&String| {
                world
                    .announced
                    .iter()
                    .any(|r| r.connection.as_str() == name.as_str())
            };
            let names: Vec<_> = world
                .device
                .table
                .keys()
                .filter(announced)
                .cloned()
                .collect();
            if !names.is_empty() {
                world.claim(&names[at % names.len()]);
            }
        }
        Op::Step => drop(world.step()),
        Op::Run => world.run(),
        Op::Pass(millis) => world.pass(Duration::from_millis(millis)),
        Op::DeviceRestart => world.device_restart(),
        Op::DeviceUp if !world.desk.device => world.desk.device_up(),
        Op::DeviceUp => {}
        Op::ReaderDown => world.desk.reader_down(),
        Op::ReaderUp => world.desk.reader_up(),
        Op::Vms(count) => world.desk.set_vms(labels(&VMS[..count])),
        Op::Capacity(capacity) => world.device.capacity = capacity,
    }
}

fn verify_invariants(world: &World) {
    let desk = &world.desk;
    assert!(desk.due.len() <= REQUEST_WINDOW);
    assert!(desk.records.len() <= MAX_WAITING);
    // Each name is announced for one VM only, and the device has (or had) its client.
    let mut names = HashSet::new();
    for record in &world.announced {
        names.insert((record.connection.clone(), record.vm_name.clone()));
        let name = record.connection.as_str();
        let guest = world.guest.iter().find(|(of, _)| of == name);
        let client = world
            .device
            .table
            .get(name)
            .or(guest.map(|(_, client)| client));
        if let Some(client) = client {
            assert_eq!(**client, record.vm_name, "{name} is another VM's");
        }
    }
    let distinct: HashSet<_> = names.iter().map(|(name, _)| name).collect();
    assert_eq!(distinct.len(), names.len(), "a name was used twice");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_mixed_up_and_nothing_is_left(ops in prop::collection::vec(op(), 1..200)) {
        let mut world = World::new(&VMS);
        for op in &ops {
            apply(&mut world, op);
            verify_invariants(&world);
        }
        // Everybody comes back, and time passes: each client is the guest's or closed.
        world.device.capacity = MAX_WAITING;
        if !world.desk.device {
            world.desk.device_up();
        }
        world.desk.reader_up();
        for _ in 0..4 {
            world.run();
            world.pass(TIMEOUT);
        }
        world.run();
        let held: usize = world.clients.iter().filter(|c| c.upgrade().is_some()).count();
        prop_assert_eq!(held, world.guest.len());
        prop_assert!(world.device.table.is_empty());
        prop_assert_eq!(world.desk.tick(world.now), None);
        for vm in VMS.map(|vm| VmName::new(vm).unwrap()) {
            prop_assert_eq!(world.desk.count(&vm), 0);
        }
    }
}
