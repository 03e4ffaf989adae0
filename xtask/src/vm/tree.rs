//! The files of an image, before they are written in one format or another.

use std::collections::BTreeMap;

/// Who owns a file, by number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Owner {
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
}

/// The super-user, who owns what is not said to be someone else's.
pub(crate) const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// What there is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    /// A directory.
    Directory,
    /// A regular file with its content.
    File(Vec<u8>),
    /// A symbolic link with its target.
    Link(String),
}

/// A file with all that an image says about it, except its time: that is the same for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) node: Node,
    /// Permission bits.
    pub(crate) mode: u16,
    /// Its owner.
    pub(crate) owner: Owner,
}

/// A tree of files. Paths have no slash at either end; each but the root's has its parent in the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Without any file.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file of root's.
    pub(crate) fn file(&mut self, path: &str, mode: u16, content: impl Into<Vec<u8>>) {
        self.add(path, mode, ROOT, Node::File(content.into()));
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.add(path, 0o777, ROOT, Node::Link(target.to_owned()));
    }

    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str, mode: u16, owner: Owner) {
        self.add(path, mode, owner, Node::Directory);
    }

    /// Adds what is at a path, in place of what was there, and the directories above it.
    fn add(&mut self, path: &str, mode: u16, owner: Owner, node: Node) {
        for (end, _) in path.match_indices('/') {
            self.0
                .entry(path[..end].to_owned())
                .or_insert_with(|| Entry {
                    node: Node::Directory,
                    mode: 0o755,
                    owner: ROOT,
                });
        }
        self.0.insert(path.to_owned(), Entry { node, mode, owner });
    }

    /// All files, in the order of their paths: each directory before what it holds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}
