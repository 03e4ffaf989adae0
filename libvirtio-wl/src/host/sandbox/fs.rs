//! The file fence.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::{FileFence, SandboxError};

/// The newest landlock version whose rights are asked for (Linux 6.12: scopes). Older
/// kernels give what they have; a newer constant must be tried before it is used.
const NEWEST: ABI = ABI::V6;

/// What a daemon may do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsAccess {
    /// Read the file, or all files below the directory.
    Read,
    /// Read and write the file, or files below the directory, but make or remove none.
    Write,
    /// Read, write and control the device, or devices below the directory.
    Device,
    /// Make and remove sockets in the directory. (Connecting to one is not landlock's
    /// business: that needs the socket's own permissions only.)
    Sockets,
}

impl FsAccess {
    fn rights(self) -> BitFlags<AccessFs> {
        match self {
            Self::Read => AccessFs::ReadFile | AccessFs::ReadDir,
            Self::Write => AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile,
            Self::Device => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev,
            Self::Sockets => AccessFs::ReadDir | AccessFs::MakeSock | AccessFs::RemoveFile,
        }
    }
}

pub(super) fn restrict(paths: &[(PathBuf, FsAccess)]) -> Result<FileFence, SandboxError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(scopes(std::env::var_os("NOTIFY_SOCKET")))?
        .create()?;
    for (path, access) in paths {
        let fd = PathFd::new(path).map_err(|source| SandboxError::Path {
            path: path.clone(),
            source,
        })?;
        let mut rights = access.rights();
        if !path.is_dir() {
            rights &= AccessFs::from_file(NEWEST);
        }
        ruleset = ruleset.add_rule(PathBeneath::new(fd, rights))?;
    }
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => FileFence::Full,
        RulesetStatus::PartiallyEnforced => FileFence::Partial,
        RulesetStatus::NotEnforced => FileFence::Missing,
    })
}

/// What of other processes is out of reach. The service manager's socket must not be,
/// should it be an abstract one.
fn scopes(notify_socket: Option<OsString>) -> BitFlags<Scope> {
    match notify_socket {
        Some(address) if address.as_bytes().starts_with(b"@") => Scope::Signal.into(),
        _ => Scope::from_all(NEWEST),
    }
}
