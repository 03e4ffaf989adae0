//! The named sockets a guest can open: shared by all frontends of the device and
//! by its control socket.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// Longest name, in bytes: the name field of the protocol, which needs no
/// terminator when full.
pub const MAX_NAME: usize = 32;

/// Most connected sockets that wait for the guest to open them: the usual listen
/// backlog.
pub const MAX_CONNECTED: usize = 128;

/// Most listening entries. They come from the host's operator, so this only
/// guards against a program gone wrong.
pub const MAX_LISTENING: usize = 256;

/// Placeholder in a name that stands for the next number.
const NUMBER: &str = "%d";

/// Why an entry was not added or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 1 to 32 printable ASCII bytes (the empty name is legal only for a
    /// listening entry: it is the default context).
    #[error("invalid name {0:?}: 1 to {MAX_NAME} printable ascii characters without spaces")]
    Invalid(String),
    /// Another live entry has this name.
    #[error("the name {0:?} is in use")]
    InUse(String),
    /// No such entry.
    #[error("no entry named {0:?}")]
    Unknown(String),
    /// Too many entries of that kind.
    #[error("too many entries (limit {0})")]
    Full(usize),
}

/// How a context of some name is opened.
#[derive(Debug)]
pub enum Target {
    /// Connect to this path, now.
    Connect(PathBuf),
    /// Use this connected socket; it belongs to this context alone.
    Connected(OwnedFd),
}

enum Entry {
    Listening { path: PathBuf, opened: u64 },
    Connected(OwnedFd),
}

/// One line of [`NameTable::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entry's name; empty for the default context.
    pub name: String,
    /// The path of a listening entry; `None` for a connected socket.
    pub path: Option<PathBuf>,
    /// Contexts opened through it so far.
    pub opened: u64,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<String, Entry>,
    /// Next number per pattern. Never goes back, so a name is never given to two
    /// connections, however late the guest asks for it.
    next: BTreeMap<String, u64>,
}

/// The table of named sockets.
///
/// Every method takes one short lock and never blocks, so that the control socket
/// answers also while a worker is stuck.
#[derive(Default)]
pub struct NameTable {
    inner: Mutex<Inner>,
}

impl fmt::Debug for NameTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

impl NameTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry that is connected to on every open. `name` may be empty. A
    /// listening entry of that name is replaced: whoever added it has come back.
    ///
    /// # Errors
    /// [`NameError`]; nothing is added then.
    pub fn add_listening(&self, name: &str, path: &Path) -> Result<String, NameError> {
        if !name.is_empty() {
            check(name)?;
        }
        let mut inner = self.lock();
        if let Some(Entry::Listening { path: old, .. }) = inner.entries.get_mut(name) {
            path.clone_into(old);
            return Ok(name.to_owned());
        }
        let count = inner.entries.values().filter(|e| !e.is_connected()).count();
        if count >= MAX_LISTENING {
            return Err(NameError::Full(MAX_LISTENING));
        }
        inner.insert(
            name,
            Entry::Listening {
                path: path.to_owned(),
                opened: 0,
            },
        )
    }

    /// Adds a connected socket, consumed by the first open of its name. A `%d` in
    /// `name` becomes the next number. Returns the name in use.
    ///
    /// # Errors
    /// [`NameError`]; the socket is closed then.
    pub fn add_connected(&self, name: &str, socket: OwnedFd) -> Result<String, NameError> {
        check(name)?;
        let mut inner = self.lock();
        let count = inner.entries.values().filter(|e| e.is_connected()).count();
        if count >= MAX_CONNECTED {
            return Err(NameError::Full(MAX_CONNECTED));
        }
        inner.insert(name, Entry::Connected(socket))
    }

    /// Removes an entry. Contexts already opened through it live on.
    ///
    /// # Errors
    /// [`NameError::Unknown`], also when a connected entry was consumed already.
    pub fn remove(&self, name: &str) -> Result<(), NameError> {
        match self.lock().entries.remove(name) {
            Some(_) => Ok(()),
            None => Err(NameError::Unknown(name.to_owned())),
        }
    }

    /// How to open `name`; a connected entry is taken out of the table.
    pub fn open(&self, name: &str) -> Option<Target> {
        let mut inner = self.lock();
        if let Some(Entry::Listening { path, opened }) = inner.entries.get_mut(name) {
            *opened += 1;
            return Some(Target::Connect(path.clone()));
        }
        match inner.entries.remove(name) {
            Some(Entry::Connected(socket)) => Some(Target::Connected(socket)),
            _ => None,
        }
    }

    /// All entries, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.lock()
            .entries
            .iter()
            .map(|(name, entry)| match entry {
                Entry::Listening { path, opened } => Listed {
                    name: name.clone(),
                    path: Some(path.clone()),
                    opened: *opened,
                },
                Entry::Connected(_) => Listed {
                    name: name.clone(),
                    path: None,
                    opened: 0,
                },
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The table is consistent between any two statements, so a panic of
        // another holder leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_connected(&self) -> bool {
        matches!(self, Entry::Connected(_))
    }
}

impl Inner {
    fn insert(&mut self, pattern: &str, entry: Entry) -> Result<String, NameError> {
        let name = if pattern.contains(NUMBER) {
            self.number(pattern)?
        } else {
            pattern.to_owned()
        };
        if self.entries.contains_key(&name) {
            return Err(NameError::InUse(name));
        }
        self.entries.insert(name.clone(), entry);
        Ok(name)
    }

    fn number(&mut self, pattern: &str) -> Result<String, NameError> {
        let mut number = self.next.get(pattern).copied().unwrap_or(0);
        let name = loop {
            let name = pattern.replacen(NUMBER, &number.to_string(), 1);
            number += 1;
            // A fixed entry may already occupy a number of the pattern.
            if !self.entries.contains_key(&name) {
                break name;
            }
        };
        if name.len() > MAX_NAME {
            return Err(NameError::Invalid(name));
        }
        self.next.insert(pattern.to_owned(), number);
        Ok(name)
    }
}

fn check(name: &str) -> Result<(), NameError> {
    let legal = |b: &u8| b.is_ascii_graphic();
    if name.is_empty() || name.len() > MAX_NAME || !name.as_bytes().iter().all(legal) {
        return Err(NameError::Invalid(name.to_owned()));
    }
    Ok(())
}
