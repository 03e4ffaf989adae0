//! Memory from the host's memory server, over the context `memfd`.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::AsFd,
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{
    device::lock,
    driver::Driver,
    limits::MEMORY_SERVER_TIMEOUT,
    memfd_request::{Label, MEMFD_CONTEXT, MemfdRequest, MemfdStatus, REPLY_BYTES},
    memory::Memory,
    stream::Stream,
    wire::{ContextName, VfdKind},
};

#[cfg(test)]
mod tests;

/// The connection to the memory server, made when first needed.
///
/// Replies come in the order of requests and carry nothing to tell them apart, so one allocation at
/// a time holds the lock until its reply is there.
#[derive(Debug, Default)]
pub(crate) struct MemoryServer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Not connected.
    #[default]
    Idle,
    /// The host had no such context when first asked; it is not asked again.
    Absent,
    /// Connected, with no request under way.
    Ready(Stream),
    /// Was connected once, and is not now.
    Lost,
}

impl MemoryServer {
    /// Asks the server for `size` bytes, whole pages. `None`: there is no server to ask.
    pub(crate) fn allocate(
        &self,
        driver: &Arc<dyn Driver>,
        size: u64,
    ) -> io::Result<Option<Memory>> {
        let mut state = lock(&self.state);
        // Whatever happens below, a stream with a request under way is never put back.
        match std::mem::replace(&mut *state, State::Lost) {
            State::Absent => {
                *state = State::Absent;
                return Ok(None);
            }
            State::Ready(stream) => match exchange(&stream, size) {
                // It died while idle: the server was restarted, perhaps.
                Err(ExchangeError::HungUp) => {
                    tracing::debug!("the memory server has hung up, connecting again");
                }
                result => return settle(&mut state, stream, result),
            },
            State::Idle => *state = State::Absent,
            State::Lost => {}
        }
        let name = ContextName::new(MEMFD_CONTEXT).map_err(io::Error::other)?;
        let stream = match driver.new_context(&name) {
            Ok(vfd) => Stream::new(driver, vfd),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                tracing::debug!("no memory server: memory comes from the device");
                return Ok(None);
            }
            Err(error) => {
                *state = State::Lost;
                return Err(error);
            }
        };
        *state = State::Lost;
        let result = exchange(&stream, size);
        settle(&mut state, stream, result)
    }
}

/// How an exchange failed.
enum ExchangeError {
    /// The server answered that it will not. The connection is in step.
    Refused(io::Error),
    /// The connection ended before an answer came.
    HungUp,
    /// Anything else: where the connection stands is unknown.
    Broken(io::Error),
}

fn settle(
    state: &mut State,
    stream: Stream,
    result: Result<Memory, ExchangeError>,
) -> io::Result<Option<Memory>> {
    match result {
        Ok(memory) => {
            *state = State::Ready(stream);
            Ok(Some(memory))
        }
        Err(ExchangeError::Refused(error)) => {
            *state = State::Ready(stream);
            Err(error)
        }
        Err(ExchangeError::HungUp) => Err(io::Error::from_raw_os_error(libc::ECONNRESET)),
        Err(ExchangeError::Broken(error)) => Err(error),
    }
}

/// Sends a request and waits for its reply.
fn exchange(stream: &Stream, size: u64) -> Result<Memory, ExchangeError> {
    let request = MemfdRequest {
        size,
        label: Label::default(),
    }
    .encode();
    // Far below what one message takes: a short count cannot be.
    let sent = stream
        .driver()
        .send(stream.as_fd(), &[IoSlice::new(&request)], &[], false)
        .map_err(classify)?;
    if sent != request.len() {
        return Err(ExchangeError::Broken(io::Error::from_raw_os_error(
            libc::EPROTO,
        )));
    }
    let deadline = Instant::now() + MEMORY_SERVER_TIMEOUT;
    let mut reply = [0; REPLY_BYTES];
    let mut vfds = Vec::new();
    let mut bufs = [IoSliceMut::new(&mut reply)];
    let count = stream
        .recv(&mut bufs, &mut vfds, Some(deadline))
        .map_err(classify)?;
    if count == 0 {
        return Err(ExchangeError::HungUp);
    }
    MemfdStatus(reply[0])
        .into_result()
        .map_err(ExchangeError::Refused)?;
    match vfds.pop() {
        Some(vfd) if vfds.is_empty() => match vfd.kind() {
            VfdKind::Memory { size: got } if got >= size => Ok(Memory::new(vfd, got)),
            _ => Err(ExchangeError::Broken(io::Error::from_raw_os_error(
                libc::EPROTO,
            ))),
        },
        _ => Err(ExchangeError::Broken(io::Error::from_raw_os_error(
            libc::EPROTO,
        ))),
    }
}

fn classify(error: io::Error) -> ExchangeError {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET) => ExchangeError::HungUp,
        _ => ExchangeError::Broken(error),
    }
}
