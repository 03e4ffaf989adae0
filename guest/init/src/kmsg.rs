//! The kernel's log.

use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc::O_NONBLOCK;

/// Longest record that the kernel gives (its `PRINTK_MESSAGE_MAX`), with room to spare.
const MAX_RECORD_BYTES: usize = 8192;

/// Text taken at a time: six times as much in JSON at worst, below the longest line.
const PART_BYTES: usize = 4096;

/// A reading of the kernel's log, from its oldest record to the newest one.
#[derive(Debug)]
pub(crate) struct KernelLog {
    file: File,
}

impl KernelLog {
    /// Starts at the oldest record that the kernel still has.
    ///
    /// # Errors
    /// Whatever opening the file gives.
    pub(crate) fn open() -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open("/dev/kmsg")?;
        Ok(Self { file })
    }

    /// The next lines, and whether there are no more.
    ///
    /// # Errors
    /// Whatever reading gives.
    pub(crate) fn part(&mut self) -> io::Result<(String, bool)> {
        let mut text = String::new();
        let mut record = [0; MAX_RECORD_BYTES];
        while text.len() < PART_BYTES {
            match self.file.read(&mut record) {
                Ok(0) => return Ok((text, true)),
                Ok(count) => add_record(&mut text, &record[..count]),
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN) => return Ok((text, true)),
                    // Overwritten while we read (EPIPE): the next one is the oldest there is.
                    Some(Errno::EPIPE | Errno::EINTR) => {}
                    _ => return Err(error),
                },
            }
        }
        Ok((text, false))
    }
}

/// Adds `<seconds> text`: a record is `priority,sequence,microseconds,flags;text`, followed by
/// lines about its device.
fn add_record(to: &mut String, record: &[u8]) {
    let record = String::from_utf8_lossy(record);
    let line = record.lines().next().unwrap_or_default();
    let Some((prefix, message)) = line.split_once(';') else {
        return;
    };
    let microseconds: u64 = prefix
        .split(',')
        .nth(2)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    // Writing to a string cannot fail.
    let _ = writeln!(to, "{seconds}.{fraction:06} {message}");
}

#[cfg(test)]
mod tests;
