use proptest::prelude::*;

use super::*;

const FEATURES: Features = Features::TRANS_FLAGS
    .union(Features::SEND_FENCES)
    .union(Features::USE_SHMEM)
    .union(Features::REFRESH);

fn run(features: Features, ops: &[Op]) -> World {
    let mut world = World::new(features);
    for op in ops {
        world.apply(op);
    }
    world
}

#[test]
fn the_model_itself_sees_bytes_and_ends() {
    let world = run(
        FEATURES,
        &[
            Op::Connect { id: 1 },
            Op::PeerSend {
                peer: 0,
                len: 9000,
                fds: vec![PeerFd::Memory, PeerFd::Odd],
            },
            Op::GiveBack { count: 255 },
            Op::PeerLeave { peer: 0 },
        ],
    );
    assert_eq!(world.known[&1].source, Some((0, 9000)));
    assert!(world.known[&1].hung_up);
    assert_eq!(world.known.len(), 3);
    assert_eq!(world.device.session().len(), 3);
}

#[test]
fn every_kind_of_descriptor_can_be_passed_on() {
    let mut ops = vec![Op::Connect { id: 1 }];
    let kinds = [
        PeerFd::Memory,
        PeerFd::SameMemory,
        PeerFd::SameMemory,
        PeerFd::Sealed,
        PeerFd::ReadEnd,
        PeerFd::DeadEnd,
        PeerFd::Socket,
        PeerFd::Odd,
    ];
    ops.push(Op::PeerSend {
        peer: 0,
        len: 10,
        fds: kinds.to_vec(),
    });
    for n in 0..8 {
        ops.push(Op::Send {
            id: 1,
            attach: vec![ops::RECEIVED + n],
            len: 10,
        });
    }
    ops.push(Op::GiveBack { count: 255 });
    ops.push(Op::PeerReceive { peer: 0 });
    for _ in 0..8 {
        ops.push(Op::Close { id: ops::RECEIVED });
    }
    let world = run(FEATURES, &ops);
    assert_eq!(world.device.session().len(), 1);
    assert!(world.port.maps.lock().unwrap().is_empty());
}

#[test]
fn memory_that_grows_leaves_nothing_behind() {
    let fds = vec![PeerFd::SameMemory, PeerFd::SameMemory];
    let mut ops = vec![
        Op::Connect { id: 1 },
        Op::PeerSend {
            peer: 0,
            len: 1,
            fds,
        },
        Op::GiveBack { count: 255 },
    ];
    for by in [4095, 1, 8192, 0, 100] {
        ops.push(Op::PeerGrow { by });
        ops.extend((0..2).map(|n| Op::Refresh {
            id: ops::RECEIVED + n,
        }));
    }
    let world = run(FEATURES, &ops);
    let sizes: Vec<_> = world
        .known
        .values()
        .filter_map(|known| known.size)
        .collect();
    assert_eq!(sizes, [16384, 16384]);
    // Three of the file, shared by both.
    assert_eq!(world.port.maps.lock().unwrap().len(), 3);
    let close = Op::Close { id: ops::RECEIVED };
    let mut world = world;
    world.apply(&close);
    world.apply(&close);
    assert!(world.port.maps.lock().unwrap().is_empty());
}

#[test]
fn a_restart_leaves_nothing_behind() {
    let world = run(
        FEATURES,
        &[
            Op::Connect { id: 1 },
            Op::NewMemory { id: 2, size: 4096 },
            Op::NewPipe { id: 3, read: true },
            Op::PeerSend {
                peer: 0,
                len: 100,
                fds: vec![PeerFd::Memory; 5],
            },
            Op::Restart,
            Op::Connect { id: 1 },
        ],
    );
    assert_eq!(world.device.session().len(), 1);
    assert!(world.port.maps.lock().unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_sequence_of_operations_keeps_the_rules(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        credit in any::<bool>(),
    ) {
        let mut features = FEATURES;
        features.set(Features::CREDIT, credit);
        let mut world = World::new(features);
        for op in Op::decode(&bytes) {
            // Hostile guests have a test of their own, where less can be checked.
            if !matches!(op, Op::Raw(_) | Op::Chain(_)) {
                world.apply(&op);
            }
        }
    }

    #[test]
    fn a_hostile_guest_breaks_nothing_of_the_host(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        features in any::<u64>(),
    ) {
        let mut world = World::new(Features::from_bits_truncate(features) | Features::USE_SHMEM);
        for op in Op::decode(&bytes) {
            world.apply(&op);
        }
    }
}
