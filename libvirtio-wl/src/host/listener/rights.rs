//! Mode and owner of a socket file, as configuration files and options write them.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;

use nix::unistd::{Gid, Group, Uid, User};
use serde::Deserialize;

/// A file mode, written in octal as a string: `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mode(u32);

impl Mode {
    /// For the owner only: 0600.
    pub const PRIVATE: Self = Self(0o600);

    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(self.0))
    }
}

impl FromStr for Mode {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && mode <= 0o777 => Ok(Self(mode)),
            _ => Err(RightsError::Mode(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = RightsError;

    fn try_from(text: String) -> Result<Self, RightsError> {
        text.parse()
    }
}

/// Who owns a file, written `"user:group"`, `"user"` or `":group"`, by name or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Owner {
    user: Option<Uid>,
    group: Option<Gid>,
}

impl Owner {
    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        Ok(nix::unistd::chown(path, self.user, self.group)?)
    }
}

impl FromStr for Owner {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let user = (!user.is_empty()).then(|| find_user(user)).transpose()?;
        let group = (!group.is_empty()).then(|| find_group(group)).transpose()?;
        if user.is_none() && group.is_none() {
            return Err(RightsError::NoOwner);
        }
        Ok(Self { user, group })
    }
}

impl TryFrom<String> for Owner {
    type Error = RightsError;

    fn try_from(text: String) -> Result<Self, RightsError> {
        text.parse()
    }
}

fn find_user(text: &str) -> Result<Uid, RightsError> {
    if let Ok(number) = text.parse() {
        return Ok(Uid::from_raw(number));
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(RightsError::User(text.to_owned())),
    }
}

fn find_group(text: &str) -> Result<Gid, RightsError> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(RightsError::Group(text.to_owned())),
    }
}

/// Why mode or owner make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RightsError {
    /// Not an octal mode of rights.
    #[error("{0:?} is not a file mode like \"0660\"")]
    Mode(String),
    /// Neither user nor group.
    #[error("an owner is written \"user:group\", \"user\" or \":group\"")]
    NoOwner,
    /// No such user. (A daemon in its sandbox cannot look names up any more.)
    #[error("cannot find user {0:?} (at a reload, give the number or restart)")]
    User(String),
    /// No such group. (A daemon in its sandbox cannot look names up any more.)
    #[error("cannot find group {0:?} (at a reload, give the number or restart)")]
    Group(String),
}
