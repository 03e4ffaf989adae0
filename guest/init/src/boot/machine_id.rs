//! The number by which programs tell machines apart (`machine-id(5)`).

use std::fs;
use std::io;
use std::path::Path;

/// Where it is kept. Empty in an image, as each guest is to have its own.
const FILE: &str = "/etc/machine-id";

/// A new random number at each reading, with dashes.
const RANDOM: &str = "/proc/sys/kernel/random/uuid";

/// Gives the guest a number, if its image has left room for one. It lasts as long as the disk.
pub(crate) fn fill_in() {
    let file = Path::new(FILE);
    match file.metadata() {
        Ok(data) if data.len() == 0 => {}
        _ => return,
    }
    let new = fs::read_to_string(RANDOM);
    if let Err(error) = new.and_then(|uuid| write(file, &uuid)) {
        tracing::warn!("cannot fill in {FILE}: {error}");
    }
}

fn write(file: &Path, uuid: &str) -> io::Result<()> {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    fs::write(file, digits + "\n")
}
