//! The peer that does what it is told.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::thread;

use guest_selftest::peer::{ORDER, Order, pattern};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::stream::{send, send_borrowed};

/// First byte of every answer.
const DONE: &[u8] = b".";

/// Written into a pipe that the guest reads.
const PIPED: &[u8] = b"through the pipe";

/// Reads orders until the guest hangs up or says to.
pub(crate) fn serve(mut stream: &UnixStream) -> io::Result<()> {
    let mut memory: Option<File> = None;
    loop {
        let mut order = [0; ORDER];
        match stream.read_exact(&mut order) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        match Order::parse(&order).ok_or(ErrorKind::InvalidData)? {
            Order::Memory { count, size } => {
                let mut fds = Vec::new();
                for _ in 0..count {
                    let file = new_memory(size)?;
                    fds.push(file.as_fd().try_clone_to_owned()?);
                    memory = Some(file);
                }
                send(stream, DONE, &fds)?;
            }
            Order::Sealed { size } => send_borrowed(stream, DONE, sealed(size)?.as_fd())?,
            Order::Grow { size } => {
                grow(memory.as_ref().ok_or(ErrorKind::NotFound)?, size)?;
                stream.write_all(DONE)?;
            }
            Order::PipeRead => {
                let (reader, mut writer) = pipe()?;
                writer.write_all(PIPED)?;
                drop(writer);
                send_borrowed(stream, DONE, reader.as_fd())?;
            }
            Order::PipeWrite => {
                let (mut reader, writer) = pipe()?;
                send(stream, DONE, &[OwnedFd::from(writer)])?;
                let mut back = stream.try_clone()?;
                thread::spawn(move || io::copy(&mut reader, &mut back));
            }
            Order::Socket => {
                let (ours, theirs) = UnixStream::pair()?;
                send(stream, DONE, &[OwnedFd::from(theirs)])?;
                thread::spawn(move || crate::echo(&ours));
            }
            Order::Flood { bytes } => {
                let flood: Vec<u8> = (0..bytes).map(pattern).collect();
                stream.write_all(DONE)?;
                stream.write_all(&flood)?;
            }
            Order::Close => return Ok(()),
        }
    }
}

/// Memory as a client's pool is: sealed against shrinking, so that it may be mapped elsewhere.
fn new_memory(size: usize) -> io::Result<File> {
    let file = File::from(memfd_create(
        "selftest",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?);
    grow(&file, size)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    Ok(file)
}

/// Makes it longer, filled with the pattern.
fn grow(file: &File, size: usize) -> io::Result<()> {
    let before = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let rest: Vec<u8> = (before..size).map(pattern).collect();
    file.write_all_at(&rest, before as u64)
}

fn sealed(size: usize) -> io::Result<File> {
    let file = new_memory(size)?;
    let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}
