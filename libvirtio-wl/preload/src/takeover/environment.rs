//! What the environment says, and what it says to children.
#![allow(unsafe_code)]

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use virtio_wl::accept_record::ACCEPT_CONTEXT;

/// Which listening socket to take over: a name such as `wayland-0`, an absolute path, or `auto`.
/// Unset or empty: none.
const LISTEN_VARIABLE: &str = "VIRTIO_WL_LISTEN";

/// The context on which the host announces connections, [`ACCEPT_CONTEXT`] by default.
const CONTEXT_VARIABLE: &str = "VIRTIO_WL_CONTEXT";

const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// The first socket whose name begins as those that libwayland chooses.
const AUTO: &str = "auto";
const AUTO_PREFIX: &[u8] = b"wayland-";

/// Files of this library, whatever their version.
const LIBRARY_PREFIX: &[u8] = b"libvirtio_wl_preload.so";

/// The listening socket to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Auto,
    /// The last component of its path.
    Name(OsString),
    Path(PathBuf),
}

impl Wanted {
    pub(super) fn from_env() -> Option<Self> {
        Self::parse(env::var_os(LISTEN_VARIABLE)?)
    }

    fn parse(value: OsString) -> Option<Self> {
        if value.is_empty() {
            None
        } else if value == AUTO {
            Some(Self::Auto)
        } else if Path::new(&value).is_absolute() {
            Some(Self::Path(value.into()))
        } else {
            Some(Self::Name(value))
        }
    }

    /// Whether `path` is what is wanted.
    pub(super) fn is(&self, path: &Path) -> bool {
        match self {
            Self::Auto => path
                .file_name()
                .is_some_and(|name| name.as_bytes().starts_with(AUTO_PREFIX)),
            Self::Name(wanted) => path.file_name() == Some(wanted),
            Self::Path(wanted) => path == wanted,
        }
    }
}

/// The context on which connections are announced.
pub(super) fn context() -> String {
    let set = env::var(CONTEXT_VARIABLE).ok();
    set.filter(|name| !name.is_empty())
        .unwrap_or_else(|| ACCEPT_CONTEXT.to_owned())
}

/// Keeps what the server starts, among it the user's programs, from being servers of this kind, too:
/// connections would come to whichever asks first.
pub(super) fn hide_from_children() {
    let preload = env::var_os(PRELOAD_VARIABLE).map(|list| without_library(&list));
    // SAFETY: compositors set WAYLAND_DISPLAY at this very point, as they have one thread that looks
    // at the environment.
    unsafe {
        env::remove_var(LISTEN_VARIABLE);
        match preload {
            Some(list) if list.is_empty() => env::remove_var(PRELOAD_VARIABLE),
            Some(list) => env::set_var(PRELOAD_VARIABLE, list),
            None => {}
        }
    }
}

/// The list of libraries without this one. ld.so(8) takes spaces and colons between them.
fn without_library(list: &OsStr) -> OsString {
    let is_other = |entry: &&[u8]| {
        let name = entry.rsplit(|&byte| byte == b'/').next().unwrap_or(entry);
        !entry.is_empty() && !name.starts_with(LIBRARY_PREFIX)
    };
    let entries = list.as_bytes().split(|&byte| byte == b':' || byte == b' ');
    OsString::from_vec(entries.filter(is_other).collect::<Vec<_>>().join(&b':'))
}

#[cfg(test)]
mod tests;
