//! How fast a Wayland server's events come: as many as it is asked for, 64 KiB at once.

use anyhow::{Context, Result, ensure};
use wayland_client::{
    Connection, Dispatch, QueueHandle,
    protocol::{wl_callback, wl_registry},
};

use crate::{
    Rounds,
    timing::{self, Summary},
};

/// Bytes of events per round: sixteen times what libwayland sends at once, so that server and client
/// work at the same time.
const BYTES: usize = 16 * 4096;

/// What has come.
#[derive(Default)]
struct Seen {
    bytes: usize,
    done: bool,
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
        state.done = true;
    }
}

/// Every registry is told of all globals, which is the one thing that each server says at length.
pub(crate) fn measure(rounds: &Rounds) -> Result<Summary> {
    let connection = Connection::connect_to_env().context("cannot connect to a Wayland server")?;
    let display = connection.display();
    let mut queue = connection.new_event_queue();
    let handle = queue.handle();
    let mut round = |registries: usize| -> Result<usize> {
        let mut seen = Seen::default();
        for _ in 0..registries {
            display.get_registry(&handle, ());
        }
        display.sync(&handle, ());
        while !seen.done {
            queue.blocking_dispatch(&mut seen)?;
        }
        Ok(seen.bytes)
    };
    let each = round(1)?;
    ensure!(each > 0, "a server without globals");
    let registries = BYTES.div_ceil(each);
    timing::time(rounds, || {
        let bytes = round(registries)?;
        ensure!(bytes >= BYTES, "{bytes} bytes of events");
        Ok(())
    })
}
