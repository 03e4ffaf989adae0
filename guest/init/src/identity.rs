//! Users, as `/etc/passwd` and `/etc/group` know them.
//!
//! Read by hand: a static program has no name service.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Name of the user.
    pub(crate) name: String,
    /// The user.
    pub(crate) uid: Uid,
    /// The user's own group.
    pub(crate) gid: Gid,
    /// All groups, the own one among them.
    pub(crate) groups: Vec<Gid>,
    /// Where the user's files are.
    pub(crate) home: PathBuf,
    /// The user's shell.
    pub(crate) shell: String,
}

impl Identity {
    /// Looks a user up; `None` when there is no such user.
    ///
    /// # Errors
    /// Whatever reading the files gives; a missing file is an empty one.
    pub(crate) fn find(name: &str) -> io::Result<Option<Self>> {
        let users = read_or_empty(Path::new("/etc/passwd"))?;
        let groups = read_or_empty(Path::new("/etc/group"))?;
        Ok(parse(name, &users, &groups))
    }
}

fn read_or_empty(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// A user out of the text of both files. Lines that make no sense are no users.
fn parse(name: &str, users: &str, groups: &str) -> Option<Identity> {
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() == 7 && fields[0] == name)?;
    let uid = fields[2].parse().ok()?;
    let gid = Gid::from_raw(fields[3].parse().ok()?);
    let mut all = vec![gid];
    for line in groups.lines() {
        let group: Vec<_> = line.split(':').collect();
        let &[_, _, number, members] = group.as_slice() else {
            continue;
        };
        let Ok(number) = number.parse().map(Gid::from_raw) else {
            continue;
        };
        if members.split(',').any(|member| member == name) && !all.contains(&number) {
            all.push(number);
        }
    }
    Some(Identity {
        name: name.to_owned(),
        uid: Uid::from_raw(uid),
        gid,
        groups: all,
        home: PathBuf::from(fields[5]),
        shell: fields[6].to_owned(),
    })
}

#[cfg(test)]
mod tests;
