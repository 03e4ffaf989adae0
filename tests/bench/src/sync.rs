//! Round trips of `wl_display.sync`: the smallest question a client can ask.

use anyhow::{Context, Result};
use wayland_client::{Connection, Dispatch, QueueHandle, protocol::wl_callback};

use crate::{
    Rounds,
    timing::{self, Summary},
};

/// Whether the answer to the sync in flight has arrived.
struct Answered(bool);

impl Dispatch<wl_callback::WlCallback, ()> for Answered {
    fn event(
        state: &mut Self,
        _: &wl_callback::WlCallback,
        event: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { .. } = event {
            state.0 = true;
        }
    }
}

pub(crate) fn measure(rounds: &Rounds) -> Result<Summary> {
    let connection = Connection::connect_to_env().context("cannot connect to a Wayland server")?;
    let display = connection.display();
    let mut queue = connection.new_event_queue();
    let handle = queue.handle();
    timing::time(rounds, || {
        let mut answered = Answered(false);
        display.sync(&handle, ());
        while !answered.0 {
            queue.blocking_dispatch(&mut answered)?;
        }
        Ok(())
    })
}
