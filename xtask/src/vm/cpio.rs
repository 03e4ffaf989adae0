//! The archive format of initial RAM file systems: cpio's `newc` (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! ```text
//! "070701", then as 8 hexadecimal digits each: inode, mode, uid, gid, links, mtime, size,
//! device major and minor, special file's major and minor, size of the name with its NUL, 0;
//! name, NUL, padding to 4 bytes; content, padding to 4 bytes
//! ```

use super::tree::{Entry, Node, Tree};

#[cfg(test)]
mod tests;

/// The name of the last entry.
const TRAILER: &str = "TRAILER!!!";
/// Names and contents start at multiples of this, in bytes.
const ALIGNMENT: usize = 4;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// The archive of a tree. The same tree gives the same bytes; all times are 0.
///
/// # Panics
/// When a file has 4 GiB or more, which the format cannot express.
pub(crate) fn archive(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, (path, entry)) in (1..).zip(tree.iter()) {
        push(&mut bytes, path, index, entry);
    }
    push_record(&mut bytes, TRAILER, [0; 3], 1, 0, &[]);
    bytes
}

fn push(bytes: &mut Vec<u8>, path: &str, inode: u32, entry: &Entry) {
    let (kind, links, content) = match &entry.node {
        Node::Directory => (DIRECTORY, 2, &[][..]),
        Node::File(content) => (REGULAR, 1, content.as_slice()),
        Node::Link(target) => (LINK, 1, target.as_bytes()),
    };
    let mode = kind | u32::from(entry.mode);
    let who = [mode, entry.owner.uid, entry.owner.gid];
    push_record(bytes, path, who, links, inode, content);
}

fn push_record(
    bytes: &mut Vec<u8>,
    name: &str,
    [mode, uid, gid]: [u32; 3],
    links: u32,
    inode: u32,
    content: &[u8],
) {
    let size = |length: usize| u32::try_from(length).expect("below 4 GiB");
    let fields = [
        inode,
        mode,
        uid,
        gid,
        links,
        0,
        size(content.len()),
        0,
        0,
        0,
        0,
        size(name.len() + 1),
        0,
    ];
    bytes.extend_from_slice(b"070701");
    for field in fields {
        bytes.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend_from_slice(content);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}
