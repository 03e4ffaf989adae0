//! The command line, exactly as typed; checked in [`crate::config`].

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Name of the context that the accept proxy announces connections on.
pub const DEFAULT_LISTEN: &str = "wl-accept";

/// The display adapter of a VM with one.
pub const DEFAULT_CARD: &str = "/dev/dri/card0";

/// A Wayland compositor whose clients are other virtual machines.
///
/// Every window gets a frame with the colour and the name of the VM it comes
/// from. Clients arrive over virtio_wl; the device is chosen with the
/// environment variable `VIRTIO_WL_DEVICE` (default /dev/wl0).
#[derive(Clone, Debug, Parser)]
#[command(
    name = "virtio-wl-compositor",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// Options of the compositor itself.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What to do instead of being a compositor.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of the compositor itself.
#[derive(Clone, Debug, ClapArgs)]
pub struct ServerArgs {
    /// Where the picture goes
    #[arg(long, value_enum, default_value_t = Backend::Headless)]
    pub backend: Backend,
    /// Size of the headless monitor in pixels
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    pub size: String,
    /// Display adapter of `--backend kms`, opened unless a service manager hands one over
    #[arg(long, value_name = "PATH", default_value = DEFAULT_CARD)]
    pub card: PathBuf,
    /// Make a control socket here, for `ctl`; mode 0600
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Accept VM connections announced on this named context
    #[arg(long, value_name = "NAME", default_value = DEFAULT_LISTEN, conflicts_with = "no_listen")]
    pub listen: String,
    /// Do not open the virtio_wl device; only test sockets have clients then
    #[arg(long)]
    pub no_listen: bool,
    /// Make a Wayland socket whose clients count as VM NAME, for tests and development; repeatable
    #[arg(long = "test-socket", value_name = "PATH,name=NAME,colour=#RRGGBB")]
    pub test_sockets: Vec<String>,
}

/// Where the picture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Into memory; read with `ctl screenshot`
    Headless,
    /// Onto the monitor of a display adapter, with its machine's keyboards and mice
    Kms,
}

/// What to do instead of being a compositor.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Talk to a running compositor
    Ctl(CtlArgs),
}

/// Options of `ctl`.
#[derive(Clone, Debug, ClapArgs)]
pub struct CtlArgs {
    /// The compositor's control socket
    #[arg(long, value_name = "PATH", global = true, required = false)]
    pub control: Option<PathBuf>,
    /// What to ask or do.
    #[command(subcommand)]
    pub action: CtlAction,
}

/// What to ask a compositor or tell it to do.
#[derive(Clone, Debug, Subcommand)]
pub enum CtlAction {
    /// Write a picture of the screen as PNG
    Screenshot {
        /// File to write; `-` is standard output
        file: PathBuf,
    },
    /// List the windows, topmost first
    Windows {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Act as the user
    Input {
        /// What the user does.
        #[command(subcommand)]
        act: InputArg,
    },
    /// Wait until something is so; exit status 1 when it is not so in time
    Wait {
        /// What to wait for.
        #[command(subcommand)]
        until: WaitArg,
        /// Give up after this many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 10.0, global = true)]
        timeout: f64,
    },
    /// Print counters as JSON
    Stats,
    /// End the compositor
    Quit,
}

/// What the user does.
#[derive(Clone, Debug, Subcommand)]
pub enum InputArg {
    /// Press and release a key or a chord such as ctrl+c
    Key {
        /// xkb key names (a, Return, F5) or Linux key codes, joined with +
        key: String,
        /// Only this half
        #[arg(value_enum)]
        half: Option<Half>,
    },
    /// Type text
    Type {
        /// Text; a newline is Return
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Put the pointer somewhere
    Move {
        /// Pixels from the left edge
        #[arg(allow_negative_numbers = true)]
        x: f64,
        /// Pixels from the top edge
        #[arg(allow_negative_numbers = true)]
        y: f64,
    },
    /// Click a pointer button
    Button {
        /// left, right, middle or a Linux button code
        button: String,
        /// Only this half
        #[arg(value_enum)]
        half: Option<Half>,
    },
    /// Turn the wheel
    Axis {
        /// Notches down; negative is up
        #[arg(allow_negative_numbers = true)]
        vertical: f64,
        /// Notches to the right; negative is left
        #[arg(allow_negative_numbers = true, default_value_t = 0.0)]
        horizontal: f64,
    },
}

/// One half of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Half {
    /// Down
    Press,
    /// Up
    Release,
}

/// What to wait for.
#[derive(Clone, Debug, Subcommand)]
pub enum WaitArg {
    /// At least, or exactly, so many windows
    Windows {
        /// How many
        count: usize,
        /// Count only windows of this VM
        #[arg(long, value_name = "NAME")]
        vm: Option<String>,
        /// Count only windows whose title contains this
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// Not more than that either
        #[arg(long)]
        exactly: bool,
    },
    /// All that is committed is drawn
    Idle,
    /// No frame was drawn for so long
    Quiet {
        /// How long, in milliseconds
        milliseconds: u64,
    },
    /// So many frames were drawn since the start
    Frames {
        /// How many
        count: u64,
    },
}
