//! Builds the loop and runs it until told to stop.

use std::env;
use std::path::PathBuf;

use anyhow::Context;
use calloop::EventLoop;
use nix::unistd::{AccessFlags, access};
use virtio_wl::program;

use crate::backend::{Headless, kms::Kms};
use crate::config::{Config, Display};
use crate::core::VmId;
use crate::devices::Machine;
use crate::listener::{host, test_socket};
use crate::state::Compositor;

/// Runs a compositor until it is asked to stop.
///
/// `setup` adds what is not the compositor's own: the control socket, signals,
/// the word to the service manager that everything listens.
pub fn run(
    config: &Config,
    setup: impl FnOnce(&mut Compositor) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    program::raise_file_limit();
    check_keymap_directory();
    let mut event_loop = EventLoop::try_new().context("cannot create the event loop")?;
    let mut compositor = compositor(&event_loop, config)?;
    setup(&mut compositor)?;
    // The first frame needs no event.
    compositor.end_turn();
    let result = event_loop
        .run(None, &mut compositor, Compositor::end_turn)
        .context("event loop failed");
    compositor.shut_down();
    if let Some(lost) = compositor.take_failure() {
        return Err(lost.into());
    }
    result
}

/// A compositor that listens where `config` says, for a loop that calls
/// [`Compositor::end_turn`] after each turn and [`Compositor::shut_down`] at the end.
pub(crate) fn compositor(
    event_loop: &EventLoop<'static, Compositor>,
    config: &Config,
) -> anyhow::Result<Compositor> {
    let (handle, signal) = (event_loop.handle(), event_loop.get_signal());
    let mut compositor = match &config.display {
        Display::Headless { size } => {
            Compositor::new(handle, signal, Box::new(Headless::new(*size)?))?
        }
        Display::Kms { card } => {
            let machine = Machine::open(card)?;
            let kms = Kms::new(machine.card())?;
            let mut compositor = Compositor::new(handle, signal, Box::new(kms))?;
            machine.attach(&mut compositor)?;
            compositor
        }
    };
    for (vm, socket) in (VmId::FIRST_TEST..).map(VmId).zip(&config.test_sockets) {
        let file = test_socket::listen(&mut compositor, socket, vm)?;
        compositor.sockets.push(file);
    }
    if let Some(context) = &config.listen {
        host::listen(&mut compositor, context);
    }
    Ok(compositor)
}

/// Clients that know no sealed keymaps (`wl_keyboard` below version 7) get a file
/// of their own, which Smithay makes here. Where it cannot, they hear no key.
fn check_keymap_directory() {
    let directory = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let rights = AccessFlags::W_OK | AccessFlags::X_OK;
    if let Err(error) = access(&directory, rights) {
        tracing::warn!(
            directory = %directory.display(), %error,
            "no keymap can be made for older clients, which will hear no key; set XDG_RUNTIME_DIR"
        );
    }
}
