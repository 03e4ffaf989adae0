//! Where devices come from: a service manager, or we open them ourselves.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use calloop::generic::{Generic, NoIoDrop};
use calloop::{Interest, Mode, PostAction};

use super::handover::{Handover, Message, is_name};
use super::uevent::{self, Word};
use crate::backend::DisplayLost;
use crate::backend::kms::DrmCard;
use crate::state::Compositor;

/// Where input devices are.
const INPUT: &str = "/dev/input";

/// Longest time until the service manager has told all it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's devices before they are used.
#[derive(Debug)]
pub(crate) struct Machine {
    card: DrmCard,
    /// Input devices and their names.
    inputs: Vec<(String, OwnedFd)>,
    /// `None` if we open devices ourselves.
    handover: Option<Handover>,
}

impl Machine {
    /// Takes what a service manager hands over; without one, opens `card` and
    /// all input devices.
    ///
    /// # Errors
    /// If there is no display adapter, or it is not to be had.
    pub(crate) fn open(card: &Path) -> anyhow::Result<Self> {
        let inherited = Handover::from_env().context("cannot use the inherited devices socket")?;
        match inherited {
            Some(handover) => Self::receive(handover),
            None => Ok(Self {
                card: DrmCard::open(card)?,
                inputs: scan(Path::new(INPUT)),
                handover: None,
            }),
        }
    }

    fn receive(handover: Handover) -> anyhow::Result<Self> {
        let until = Instant::now() + PATIENCE;
        let (mut card, mut inputs) = (None, Vec::new());
        loop {
            match handover.wait(until) {
                Ok(Message::Card(name, fd)) if card.is_none() => {
                    card = Some(DrmCard::from_fd(fd, &name)?);
                }
                Ok(Message::Card(name, _)) => ignored(&name),
                Ok(Message::Input(name, fd)) => inputs.push((name, fd)),
                Ok(Message::Settled) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "the service manager hands over nonsense");
                }
                Err(error) => {
                    let what = "the service manager did not hand over all devices";
                    return Err(DisplayLost::because(what, error).into());
                }
            }
        }
        let missing = || DisplayLost::new("the service manager handed over no display adapter");
        Ok(Self {
            card: card.ok_or_else(missing)?,
            inputs,
            handover: Some(handover),
        })
    }

    /// The display adapter.
    pub(crate) fn card(&self) -> DrmCard {
        self.card.clone()
    }

    /// Uses the input devices, and what comes later.
    ///
    /// # Errors
    /// If it cannot be learned what comes later.
    pub(crate) fn attach(self, compositor: &mut Compositor) -> anyhow::Result<()> {
        for (name, fd) in self.inputs {
            compositor.add_input_device(&name, fd);
        }
        let opens_itself = self.handover.is_none();
        let heard = move |compositor: &mut Compositor, word| match word {
            Word::Monitor => compositor.monitor_changed(),
            Word::Input(name) if opens_itself => open_input(&name, |fd| {
                compositor.add_input_device(&name, fd);
            }),
            Word::Input(_) => {}
        };
        uevent::watch(compositor, heard).context("cannot listen to the kernel")?;
        if let Some(handover) = self.handover {
            follow(compositor, handover)?;
        }
        // The monitor may have changed before anybody listened.
        compositor.monitor_changed();
        Ok(())
    }
}

/// Takes in what the service manager hands over later.
fn follow(compositor: &Compositor, handover: Handover) -> anyhow::Result<()> {
    let source = Generic::new(handover, Interest::READ, Mode::Level);
    let read = |_, handover: &mut NoIoDrop<Handover>, compositor: &mut Compositor| {
        match handover.receive() {
            Ok(Message::Input(name, fd)) => compositor.add_input_device(&name, fd),
            Ok(Message::Card(name, _)) => ignored(&name),
            Ok(Message::Settled) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "the service manager hands over nonsense");
                }
                _ => {
                    tracing::warn!(%error, "the service manager hands over no more devices");
                    return Ok(PostAction::Remove);
                }
            },
        }
        Ok(PostAction::Continue)
    };
    let inserted = compositor.handle().insert_source(source, read);
    inserted.map_err(|error| anyhow::anyhow!("cannot watch the devices socket: {error}"))?;
    Ok(())
}

fn ignored(card: &str) {
    tracing::warn!(card, "only one display adapter is used");
}

/// Opens the input devices that are there now.
fn scan(directory: &Path) -> Vec<(String, OwnedFd)> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "no input devices in {}", directory.display());
            return Vec::new();
        }
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| is_name(name, "event")).collect();
    names.sort_unstable();
    let mut inputs = Vec::new();
    for name in names {
        open_input(&name, |fd| inputs.push((name.clone(), fd)));
    }
    inputs
}

/// Opens one, by its name.
fn open_input(name: &str, then: impl FnOnce(OwnedFd)) {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK);
    match options.open(Path::new(INPUT).join(name)) {
        Ok(file) => then(file.into()),
        Err(error) => tracing::warn!(device = name, %error, "cannot open an input device"),
    }
}
