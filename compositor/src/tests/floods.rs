//! Clients that send or hold as much as they can. They may be cut off; their
//! neighbours may not notice.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::client::Callback;
use super::fixture::Fixture;
use super::hostile::{Attacker, Neighbour};
use super::wire::{DISPLAY, Msg, Outcome, Raw, header};
use crate::input::InputEvent;

/// Frames a neighbour must get while a flood goes on.
const FRAMES: usize = 60;

/// A thread that writes the same bytes to a socket for as long as it can.
struct Flood {
    stop: Arc<AtomicBool>,
    stream: UnixStream,
    thread: Option<JoinHandle<u64>>,
}

impl Flood {
    fn start(stream: UnixStream, bytes: Vec<u8>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut writer) = (Arc::clone(&stop), stream.try_clone().unwrap());
        writer.set_nonblocking(false).unwrap();
        let thread = thread::spawn(move || {
            let mut written = 0;
            while !stopped.load(Ordering::Relaxed) && writer.write_all(&bytes).is_ok() {
                written += bytes.len() as u64;
            }
            written
        });
        Self {
            stop,
            stream,
            thread: Some(thread),
        }
    }

    /// Ends the flood; how many bytes went out.
    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Raw messages that damage a surface, 64 KiB of them.
fn damage(surface: u32) -> Vec<u8> {
    let one: Vec<u8> = [0_i32, 0, 64, 64]
        .into_iter()
        .flat_map(i32::to_ne_bytes)
        .collect();
    let message = header(surface, 9, 24, &one);
    message.repeat(64 * 1024 / message.len())
}

/// The neighbour animates: each frame callback draws the next picture.
#[track_caller]
fn animate(fixture: &mut Fixture, title: &str, vm: &str) {
    let id = fixture.connect(vm);
    let window = fixture.window(id, title, (200, 150), 1);
    for n in 0..FRAMES {
        let client = fixture.client(id);
        window.surface.frame(&client.handle(), Callback::Frame);
        let buffer = client.buffer(200, 150, move |x, y| (x * y) as u32 + n as u32);
        window.surface.attach(Some(&buffer), 0, 0);
        window.surface.damage_buffer(0, 0, 200, 150);
        window.surface.commit();
        fixture.until("a frame callback", |fixture| {
            (fixture.client(id).state.frames > n).then_some(())
        });
    }
}

#[test]
fn a_damage_flood_does_not_stop_the_neighbour() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut floods = Vec::new();
    for _ in 0..3 {
        let mut attacker = Attacker::new(&mut fixture, "hostile");
        attacker.map(&mut fixture);
        let bytes = damage(attacker.surface);
        floods.push(Flood::start(attacker.raw.into_stream(), bytes));
    }
    animate(&mut fixture, "good", "good");
    let written: u64 = floods.into_iter().map(Flood::stop).sum();
    assert!(written > 100_000, "only {written} bytes were flooded");
}

#[test]
fn a_flood_without_a_buffer_does_not_stop_the_neighbour() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let attacker = Attacker::new(&mut fixture, "hostile");
    let bytes = damage(attacker.surface);
    let flood = Flood::start(attacker.raw.into_stream(), bytes);
    animate(&mut fixture, "good", "good");
    flood.stop();
}

#[test]
fn a_commit_flood_of_large_buffers_does_not_stop_the_neighbour() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut attacker = Attacker::new(&mut fixture, "hostile");
    attacker.map(&mut fixture);
    let (buffer, _file) = attacker.buffer(1920, 1080);
    assert_eq!(attacker.raw.roundtrip(&mut fixture), Outcome::Served);
    let surface = attacker.surface;
    let mut bytes = header(
        surface,
        1,
        20,
        &[buffer.to_ne_bytes(), [0; 4], [0; 4]].concat(),
    );
    let whole: Vec<u8> = [0_i32, 0, 1920, 1080]
        .into_iter()
        .flat_map(i32::to_ne_bytes)
        .collect();
    bytes.extend(header(surface, 9, 24, &whole));
    bytes.extend(header(surface, 6, 8, &[]));
    let flood = Flood::start(attacker.raw.into_stream(), bytes.repeat(100));
    animate(&mut fixture, "good", "good");
    flood.stop();
}

#[test]
fn a_client_that_never_reads_answers_is_held_back() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let mut raw = Raw::connect(&mut fixture, "hostile");
    raw.reads = false;
    let (mut sent, mut still) = (0_u64, 0);
    // Answers of 12 bytes each wait in two sockets and the buffers between.
    let most = 1_000_000;
    fixture.until("a client that gets no further", |_| {
        if raw.is_flushed() {
            for _ in 0..100 {
                let id = raw.id();
                raw.send(Msg::new(DISPLAY, 0).u(id));
            }
            sent += 100;
            assert!(
                sent < most,
                "{sent} answers are kept for a client that never reads"
            );
        }
        still = if raw.pump() { 0 } else { still + 1 };
        (still > 100 || raw.hung_up()).then_some(())
    });
    neighbour.check_on_top(&mut fixture);
    // Had it only been slow, it would have missed nothing.
    raw.reads = true;
    assert_eq!(raw.roundtrip(&mut fixture), Outcome::Served);
    assert!(raw.events.len() as u64 >= sent);
}

#[test]
fn a_client_that_never_reads_events_is_cut_off() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let mut attacker = Attacker::new(&mut fixture, "hostile");
    attacker.raw.create(attacker.seat, 1, |m| m);
    attacker.map(&mut fixture);
    attacker.raw.reads = false;
    let mut keys = 0;
    fixture.until("the end of a client that never reads", |fixture| {
        // What the user does cannot be held back; it is 24 bytes each time.
        for _ in 0..250 {
            for pressed in [true, false] {
                fixture
                    .compositor
                    .input(InputEvent::Key { code: 30, pressed });
                keys += 1;
            }
        }
        assert!(
            keys < 500_000,
            "{keys} events are kept for a client that never reads"
        );
        attacker.raw.hung_up().then_some(())
    });
    neighbour.check_on_top(&mut fixture);
}

#[test]
fn descriptors_cannot_be_used_up() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let before = open_descriptors();
    let mut attackers = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::connect(&mut fixture, "hostile");
        for _ in 0..60 {
            // Not even a whole message: the descriptors stay with the bytes.
            let fds = (0..28).map(|_| File::open("/dev/null").unwrap().into());
            raw.send_bytes(vec![1], fds.collect());
            raw.pump();
        }
        for _ in 0..20 {
            fixture.turn();
            raw.pump();
        }
        raw.forget_unsent();
        attackers.push(raw);
    }
    for _ in 0..50 {
        fixture.turn();
    }
    // Other tests run beside this one; the attack was 13,440 descriptors.
    let held = open_descriptors().saturating_sub(before);
    assert!(held < 2000, "{held} more descriptors are open");
    neighbour.check_on_top(&mut fixture);
    let another = fixture.connect("good");
    fixture.window(another, "new", (50, 50), 1);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn objects_are_bounded() {
    // Each of these would grow for ever; the compositor says no, or keeps only so much.
    type Step = fn(&mut Attacker);
    let steps: [(&str, Step); 5] = [
        ("surfaces", |a| {
            a.new_surface();
        }),
        ("regions", |a| {
            a.region();
        }),
        ("positioners", |a| {
            a.raw.create(a.wm, 1, |m| m);
        }),
        ("data sources", |a| {
            a.raw.create(a.data_manager, 0, |m| m);
        }),
        ("registries", |a| {
            a.raw.create(DISPLAY, 1, |m| m);
        }),
    ];
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    for (name, step) in steps {
        let mut attacker = Attacker::new(&mut fixture, "hostile");
        for n in 0.. {
            assert!(n < 400, "{name}: 100,000 are not refused");
            for _ in 0..250 {
                step(&mut attacker);
            }
            if attacker.raw.roundtrip(&mut fixture) == Outcome::Killed {
                break;
            }
        }
        neighbour.check_on_top(&mut fixture);
    }
}

#[test]
fn connections_are_bounded() {
    let mut fixture = Fixture::new(&["hostile", "good"]);
    let mut neighbour = Neighbour::new(&mut fixture, "good");
    let streams: Vec<UnixStream> = (0..400)
        .map(|_| {
            let stream = fixture.connect_raw("hostile");
            fixture.turn();
            stream
        })
        .collect();
    neighbour.check_on_top(&mut fixture);
    drop(streams);
    let again = fixture.connect("hostile");
    fixture.window(again, "back", (50, 50), 1);
}
