//! How fast a Wayland server's events come, 4 KiB for each question, with several questions on the way.

use anyhow::{Context, Result, ensure};
use wayland_client::{
    Connection, Dispatch, QueueHandle,
    protocol::{wl_callback, wl_registry},
};

use crate::{
    Rounds,
    timing::{self, Summary},
};

/// Bytes of events that each question is answered with: what libwayland sends at once.
const BYTES: usize = 4096;

/// Questions on the way, so that server and client work at the same time.
const WINDOW: usize = 4;

/// Questions per round: enough that it does not matter who of both had the processor first.
const QUESTIONS: usize = 64;

/// What has come.
#[derive(Default)]
struct Seen {
    bytes: usize,
    answers: usize,
}

impl Dispatch<wl_registry::WlRegistry, ()> for Seen {
    fn event(
        state: &mut Self,
        _: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { interface, .. } = event {
            // Object, size and opcode, name, version, length; and the text with its NUL in whole words.
            state.bytes += 20 + (interface.len() + 1).next_multiple_of(4);
        }
    }
}

impl Dispatch<wl_callback::WlCallback, ()> for Seen {
    fn event(
        state: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.answers += 1;
    }
}

/// Every registry is told of all globals, which is the one thing that each server says at length.
pub(crate) fn measure(rounds: &Rounds) -> Result<Summary> {
    let connection = Connection::connect_to_env().context("cannot connect to a Wayland server")?;
    let display = connection.display();
    let mut queue = connection.new_event_queue();
    let handle = queue.handle();
    let ask = |registries: usize| {
        for _ in 0..registries {
            display.get_registry(&handle, ());
        }
        display.sync(&handle, ());
    };
    let mut wait = |seen: &mut Seen, answers: usize| -> Result<()> {
        while seen.answers < answers {
            queue.blocking_dispatch(seen)?;
        }
        Ok(())
    };
    let mut seen = Seen::default();
    ask(1);
    wait(&mut seen, 1)?;
    ensure!(seen.bytes > 0, "a server without globals");
    let registries = BYTES.div_ceil(seen.bytes);
    timing::time(rounds, || {
        let mut seen = Seen::default();
        for asked in 0..QUESTIONS {
            ask(registries);
            wait(&mut seen, (asked + 1).saturating_sub(WINDOW))?;
        }
        wait(&mut seen, QUESTIONS)?;
        ensure!(seen.bytes >= QUESTIONS * BYTES, "{} bytes", seen.bytes);
        Ok(())
    })
}
