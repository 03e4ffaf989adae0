//! Builds the loop and runs it until told to stop.

use anyhow::Context;
use calloop::EventLoop;

use crate::config::Config;
use crate::state::Compositor;

/// Runs a compositor until it is asked to stop.
///
/// `setup` adds what is not the compositor's own: the control socket, signals,
/// the word to the service manager that everything listens.
pub fn run(
    config: &Config,
    setup: impl FnOnce(&mut Compositor) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut event_loop: EventLoop<'static, Compositor> =
        EventLoop::try_new().context("cannot create the event loop")?;
    let mut compositor = Compositor::new(event_loop.handle(), event_loop.get_signal(), config)?;
    setup(&mut compositor)?;
    event_loop
        .run(None, &mut compositor, |_| ())
        .context("event loop failed")
}
