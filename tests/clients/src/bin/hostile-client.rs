//! Named attacks on whatever is at the other end of the Wayland socket. Prints what became of the
//! connection (`closed`, `blocked`, `survived`), then stays until its input ends, so that a test
//! can look at the neighbours meanwhile.
#![allow(clippy::print_stdout, reason = "the line is what the test reads")]

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use test_clients::pool::{PIXEL, Pool};
use test_clients::raw::{self, Raw, Sent};
use test_clients::session::Session;
use test_clients::window::{Rect, Window, to_wire};

/// Attacks a compositor.
#[derive(Debug, Parser)]
struct Args {
    /// Which attack
    attack: Attack,
    /// How often, where the attack repeats something
    #[arg(long, default_value_t = 100_000)]
    count: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Attack {
    /// A committed buffer whose memory is then cut off
    TruncatedBuffer,
    /// Sizes and positions at the ends of their ranges
    AbsurdGeometry,
    /// Requests that are answered, without reading the answers
    NeverReads,
    /// Damage without end on one surface
    DamageFlood,
    /// Frames without end in a window that is shown, without waiting for any
    CommitFlood,
    /// Pools without end, each with a descriptor
    FdFlood,
    /// A message of an impossible length
    BadLength,
    /// A request to an object that does not exist
    BadObject,
    /// Surfaces without end
    ObjectFlood,
}

/// Side of the window of the attacks that need one, in pixels.
const SIDE: usize = 64;
/// How long a socket may stay full before the attack counts as blocked.
const PATIENCE: Duration = Duration::from_secs(2);
/// An object id that no client gets to so soon.
const NO_OBJECT: u32 = 4_000_000;
/// Requests between two flushes of a flood.
const BATCH: u32 = 500;

fn main() -> Result<()> {
    let args = Args::parse();
    // The connection of an attack that goes on by not being read.
    let mut unread = None;
    let outcome = match args.attack {
        Attack::NeverReads => never_reads(unread.insert(Raw::connect()?), args.count)?,
        Attack::BadLength => send_raw(&raw::message_of_size(raw::DISPLAY, raw::SYNC, 3, &[2]))?,
        Attack::BadObject => send_raw(&raw::message(NO_OBJECT, 0, &[]))?,
        attack if with_window(attack, args.count).is_ok() => "survived",
        _ => "closed",
    };
    println!("{outcome}");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(unread);
    Ok(())
}

/// Syncs without reading a single answer.
fn never_reads(raw: &mut Raw, count: u32) -> Result<&'static str> {
    let mut outcome = raw.send(
        &raw::message(raw::DISPLAY, raw::GET_REGISTRY, &[2]),
        PATIENCE,
    )?;
    // Ids go up by one, as a server may insist.
    for id in 3..count.saturating_add(3) {
        if outcome != Sent::All {
            break;
        }
        outcome = raw.send(&raw::message(raw::DISPLAY, raw::SYNC, &[id]), PATIENCE)?;
    }
    Ok(match outcome {
        Sent::All => "survived",
        Sent::Blocked => "blocked",
        Sent::Closed => "closed",
    })
}

/// Sends bytes and waits for the connection to be ended.
fn send_raw(bytes: &[u8]) -> Result<&'static str> {
    let mut raw = Raw::connect()?;
    raw.send(bytes, PATIENCE)?;
    Ok(if raw.wait_closed(PATIENCE)? {
        "closed"
    } else {
        "survived"
    })
}

/// An attack by a client that has a window. An error is the end of the connection.
fn with_window(attack: Attack, count: u32) -> Result<()> {
    let mut session = Session::connect()?;
    let window = Window::new(&mut session, "hostile")?;
    let pool = Pool::new(&session, SIDE * SIDE * PIXEL)?;
    let buffer = pool.buffer(&session, 0, (SIDE, SIDE), 0);
    let all = Rect {
        x: 0,
        y: 0,
        width: SIDE,
        height: SIDE,
    };
    match attack {
        Attack::TruncatedBuffer => {
            pool.file().set_len(0)?;
            window.show(&mut session, &buffer, &[all])?;
        }
        Attack::AbsurdGeometry => {
            window.show(&mut session, &buffer, &[all])?;
            absurd_geometry(&mut session, &window)?;
        }
        Attack::DamageFlood => {
            for index in 0..count {
                let at = i32::try_from(index).unwrap_or(i32::MAX);
                window
                    .surface
                    .damage(at, at.wrapping_mul(7), i32::MAX, i32::MAX);
                pause(&mut session, index)?;
            }
            window.show(&mut session, &buffer, &[all])?;
        }
        Attack::CommitFlood => {
            window.show(&mut session, &buffer, &[all])?;
            let side = to_wire(SIDE);
            for index in 0..count {
                window.surface.attach(Some(&buffer), 0, 0);
                window.surface.damage_buffer(0, 0, side, side);
                window.surface.commit();
                pause(&mut session, index)?;
            }
        }
        Attack::FdFlood => {
            let mut pools = Vec::new();
            for index in 0..count {
                let file = pool.file().as_fd();
                pools.push(session.shm.create_pool(file, 4096, &session.handle, ()));
                pause(&mut session, index)?;
            }
        }
        Attack::ObjectFlood => {
            for index in 0..count {
                session
                    .compositor
                    .create_surface(&session.handle, ())
                    .commit();
                pause(&mut session, index)?;
            }
        }
        Attack::NeverReads | Attack::BadLength | Attack::BadObject => {}
    }
    session.roundtrip()
}

/// Lets a flood be sent, and its answers be read.
fn pause(session: &mut Session, index: u32) -> Result<()> {
    if index % BATCH == BATCH - 1 {
        session.roundtrip()
    } else {
        Ok(())
    }
}

/// Legal requests with values at the ends of their ranges.
fn absurd_geometry(session: &mut Session, window: &Window) -> Result<()> {
    for value in [i32::MAX, i32::MAX - 1, 1 << 30, i32::MIN + 1, -1] {
        window.surface.damage(value, value, i32::MAX, i32::MAX);
        window.surface.damage_buffer(-value, value, i32::MAX, 1);
        let region = session.compositor.create_region(&session.handle, ());
        region.add(value, -value, i32::MAX, i32::MAX);
        region.subtract(-value, value, 1, i32::MAX);
        window.surface.set_opaque_region(Some(&region));
        window.surface.set_input_region(Some(&region));
        window.surface.commit();
        session.roundtrip()?;
    }
    window.toplevel.set_max_size(i32::MAX, i32::MAX);
    window.toplevel.set_min_size(i32::MAX, i32::MAX);
    window.surface.commit();
    session.roundtrip()?;
    window
        .xdg_surface
        .set_window_geometry(i32::MIN + 1, i32::MIN + 1, i32::MAX, i32::MAX);
    window.surface.commit();
    session.roundtrip()?;
    window.surface.set_buffer_scale(i32::MAX);
    window.surface.commit();
    session.roundtrip()
}
