//! What the compositor was asked to be, checked.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::args::{Backend, ServerArgs};
use crate::core::Size;
use crate::label::{Colour, LabelError, VmName};

/// Longest side of the headless monitor in pixels: what 8K monitors have,
/// twice over.
pub const MAX_SIDE: i32 = 16_384;

/// Longest name of a context (virtio_wl carries 32 bytes, NUL padded).
pub const MAX_CONTEXT_NAME: usize = 32;

/// Validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the picture goes.
    pub display: Display,
    /// Where the control socket is made, if at all.
    pub control: Option<PathBuf>,
    /// Named context on which VM connections are accepted, if at all.
    pub listen: Option<String>,
    /// Sockets whose clients count as VMs.
    pub test_sockets: Vec<TestSocket>,
}

/// Where the picture goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Display {
    /// A picture in memory.
    Headless {
        /// Width and height in pixels.
        size: Size,
    },
    /// The monitor of a display adapter.
    Kms {
        /// Its device node, for when none is handed over.
        card: PathBuf,
    },
}

/// An ordinary Wayland socket that stands for a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSocket {
    /// Where it is made.
    pub path: PathBuf,
    /// The VM's name.
    pub name: VmName,
    /// The VM's colour.
    pub colour: Colour,
}

/// An option that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a monitor's size.
    #[error("--size {0:?}: write it as WIDTHxHEIGHT, each from 1 to {MAX_SIDE}")]
    Size(String),
    /// Not a context's name.
    #[error(
        "--listen {0:?}: a context name has 1 to {MAX_CONTEXT_NAME} printable ASCII characters"
    )]
    Listen(String),
    /// Not a test socket.
    #[error("--test-socket {0:?}: write it as PATH,name=NAME,colour=#RRGGBB")]
    TestSocket(String),
    /// A test socket with an impossible label.
    #[error("--test-socket {spec:?}")]
    TestSocketLabel {
        /// The option as given.
        spec: String,
        /// What is wrong with it.
        #[source]
        source: LabelError,
    },
    /// Two test sockets at one place, or a test socket at the control socket's.
    #[error("{} is given for two sockets", .0.display())]
    SamePath(PathBuf),
    /// One name for two VMs: frames could not tell them apart.
    #[error("VM name {0} is given to two test sockets")]
    SameName(VmName),
}

impl TryFrom<ServerArgs> for Config {
    type Error = ConfigError;

    fn try_from(args: ServerArgs) -> Result<Self, ConfigError> {
        let display = match args.backend {
            Backend::Headless => Display::Headless {
                size: size(&args.size)?,
            },
            Backend::Kms => Display::Kms { card: args.card },
        };
        let listen = (!args.no_listen).then_some(args.listen);
        if let Some(name) = listen.as_ref().filter(|name| !is_context_name(name)) {
            return Err(ConfigError::Listen(name.clone()));
        }
        let test_sockets = args
            .test_sockets
            .iter()
            .map(|spec| test_socket(spec))
            .collect::<Result<Vec<_>, _>>()?;
        let config = Self {
            display,
            control: args.control,
            listen,
            test_sockets,
        };
        config.check_unique()?;
        Ok(config)
    }
}

impl Config {
    fn check_unique(&self) -> Result<(), ConfigError> {
        for (at, socket) in self.test_sockets.iter().enumerate() {
            let others = &self.test_sockets[at + 1..];
            if self.control.as_ref() == Some(&socket.path)
                || others.iter().any(|o| o.path == socket.path)
            {
                return Err(ConfigError::SamePath(socket.path.clone()));
            }
            if others.iter().any(|other| other.name == socket.name) {
                return Err(ConfigError::SameName(socket.name.clone()));
            }
        }
        Ok(())
    }
}

fn size(text: &str) -> Result<Size, ConfigError> {
    let side = |text: &str| {
        text.parse()
            .ok()
            .filter(|side| (1..=MAX_SIDE).contains(side))
    };
    text.split_once('x')
        .and_then(|(w, h)| Some(Size::new(side(w)?, side(h)?)))
        .ok_or_else(|| ConfigError::Size(text.to_owned()))
}

fn is_context_name(name: &str) -> bool {
    (1..=MAX_CONTEXT_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// `PATH,name=NAME,colour=#RRGGBB`; the path may hold commas of its own.
fn test_socket(spec: &str) -> Result<TestSocket, ConfigError> {
    let malformed = || ConfigError::TestSocket(spec.to_owned());
    let label = |source| ConfigError::TestSocketLabel {
        spec: spec.to_owned(),
        source,
    };
    let (rest, colour) = spec.rsplit_once(",colour=").ok_or_else(malformed)?;
    let (path, name) = rest.rsplit_once(",name=").ok_or_else(malformed)?;
    if path.is_empty() {
        return Err(malformed());
    }
    Ok(TestSocket {
        path: path.into(),
        name: name.parse().map_err(label)?,
        colour: colour.parse().map_err(label)?,
    })
}
