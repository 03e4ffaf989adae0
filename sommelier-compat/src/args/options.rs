//! Every option that any Sommelier has had, and what becomes of it here.

/// What the relay does with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It has its effect.
    Honoured,
    /// It says something that is true here anyway, or is of no use here.
    Moot,
    /// Sommelier dropped it; accepted with a warning, as there.
    Removed,
    /// What it asks for is missing; accepted with a warning.
    Unsupported,
}

/// Whether a value follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `--option`.
    None,
    /// `--option=value`.
    Required,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// With its dashes.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// The variable that stands for it when it is not given.
    pub env: Option<&'static str>,
    /// Its fate.
    pub treatment: Treatment,
}

const fn opt(name: &'static str, value: Value, treatment: Treatment) -> Opt {
    Opt {
        name,
        value,
        env: None,
        treatment,
    }
}

impl Opt {
    const fn env(self, env: &'static str) -> Self {
        Self {
            env: Some(env),
            ..self
        }
    }
}

use Treatment::{Honoured, Moot, Removed, Unsupported};
use Value::{None as Flag, Required as Takes};

/// All options.
pub const OPTIONS: &[Opt] = &[
    opt("--help", Flag, Honoured),
    opt("--version", Flag, Honoured),
    opt("-h", Flag, Honoured),
    opt("-?", Flag, Honoured),
    opt("-v", Flag, Honoured),
    opt("--parent", Flag, Honoured),
    opt("--socket", Takes, Honoured),
    opt("--display", Takes, Honoured).env("SOMMELIER_DISPLAY"),
    opt("--no-exit-with-child", Flag, Honoured),
    opt("--sd-notify", Takes, Honoured),
    opt("--log-level", Takes, Honoured),
    opt("--client-fd", Takes, Honoured),
    opt("--no-support-damage-buffer", Flag, Honoured).env("SOMMELIER_SUPPORT_DAMAGE_BUFFER"),
    opt("--noop-driver", Flag, Honoured),
    opt("--peer-pid", Takes, Moot),
    opt("--peer-cmd-prefix", Takes, Moot).env("SOMMELIER_PEER_CMD_PREFIX"),
    opt("--vm-identifier", Takes, Moot).env("SOMMELIER_VM_IDENTIFIER"),
    opt("--no-clipboard-manager", Flag, Moot).env("SOMMELIER_CLIPBOARD_MANAGER"),
    opt("-X", Flag, Unsupported),
    opt("--x-display", Takes, Unsupported),
    opt("--virtgpu-channel", Flag, Unsupported),
    opt("--scale", Takes, Unsupported).env("SOMMELIER_SCALE"),
    opt("--direct-scale", Flag, Unsupported),
    opt("--dpi", Takes, Unsupported).env("SOMMELIER_DPI"),
    opt("--accelerators", Takes, Unsupported).env("SOMMELIER_ACCELERATORS"),
    opt("--windowed-accelerators", Takes, Unsupported).env("SOMMELIER_WINDOWED_ACCELERATORS"),
    opt("--application-id", Takes, Unsupported),
    opt("--application-id-x11-property", Takes, Unsupported),
    opt("--xwayland-path", Takes, Unsupported).env("SOMMELIER_XWAYLAND_PATH"),
    opt("--xwayland-gl-driver-path", Takes, Unsupported).env("SOMMELIER_XWAYLAND_GL_DRIVER_PATH"),
    opt("--xwayland-cmd-prefix", Takes, Unsupported).env("SOMMELIER_XWAYLAND_CMD_PREFIX"),
    opt("--glamor", Flag, Unsupported).env("SOMMELIER_GLAMOR"),
    opt("--x-auth", Takes, Unsupported).env("SOMMELIER_XAUTH_PATH"),
    opt("--x-font-path", Takes, Unsupported).env("SOMMELIER_XFONT_PATH"),
    opt("--frame-color", Takes, Unsupported).env("SOMMELIER_FRAME_COLOR"),
    opt("--dark-frame-color", Takes, Unsupported).env("SOMMELIER_DARK_FRAME_COLOR"),
    opt("--fullscreen-mode", Takes, Unsupported).env("SOMMELIER_FULLSCREEN_MODE"),
    opt("--force-drm-device", Takes, Unsupported),
    opt("--enable-linux-dmabuf", Flag, Unsupported),
    opt("--explicit-fence", Flag, Unsupported),
    opt("--enable-xshape", Flag, Unsupported),
    opt("--enable-x11-move-windows", Flag, Unsupported),
    opt("--viewport-resize", Flag, Unsupported),
    opt("--stable-scaling", Flag, Unsupported),
    opt(
        "--allow-xwayland-emulate-screen-pos-size",
        Flag,
        Unsupported,
    ),
    opt("--ignore-stateless-toplevel-configure", Flag, Unsupported),
    opt("--only-client-can-exit-fullscreen", Flag, Unsupported),
    opt("--timing-filename", Takes, Unsupported),
    opt("--stats-summary", Takes, Unsupported),
    opt("--stats-log", Takes, Unsupported),
    opt("--stats-timer", Takes, Unsupported),
    opt("--trace-filename", Takes, Unsupported),
    opt("--trace-system", Flag, Unsupported),
    opt("--quirks-config", Takes, Unsupported).env("SOMMELIER_QUIRKS_CONFIG"),
    opt("--print-enabled-features", Takes, Unsupported),
    opt("--master", Flag, Removed),
    opt("--shm-driver", Flag, Removed).env("SOMMELIER_SHM_DRIVER"),
    opt("--virtwl-device", Flag, Removed).env("SOMMELIER_VIRTWL_DEVICE"),
    opt("--data-driver", Flag, Removed).env("SOMMELIER_DATA_DRIVER"),
    opt("--drm-device", Flag, Removed).env("SOMMELIER_DRM_DEVICE"),
    opt("--separate-outputs", Flag, Removed),
];

/// The option that `argument` begins with; the longest when several do.
///
/// By prefix, as Sommelier matches, so `--parental` is `--parent`; callers rely
/// on it with the options that changed their name.
#[must_use]
pub fn find(argument: &[u8]) -> Option<&'static Opt> {
    let matching = OPTIONS
        .iter()
        .filter(|opt| argument.starts_with(opt.name.as_bytes()));
    matching.max_by_key(|opt| opt.name.len())
}
