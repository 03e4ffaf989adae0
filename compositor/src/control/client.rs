//! The asking side of the control socket; blocking.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::protocol::{Reply, Request};
use crate::screenshot::Picture;
use crate::sys::recv_with_fd;

/// How long an answer may take on top of what a request asks for. A compositor
/// that is alive answers within a frame.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest reply read, in bytes: far above a list of all windows there can be.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// Largest picture read, in pixels: a monitor of the largest size allowed.
const MAX_PIXELS: u64 = 16_384 * 16_384;

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no compositor answers on {} (started with --control?)", path.display())]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection failed.
    #[error("control connection failed")]
    Io(#[from] io::Error),
    /// The compositor went away without an answer.
    #[error("the compositor closed the connection")]
    Closed,
    /// The answer makes no sense.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// The compositor said no.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a compositor's control socket.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    /// What came after the last line that was read.
    unread: Vec<u8>,
}

impl Client {
    /// Connects to the control socket at `path`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|source| ClientError::Connect {
            path: path.to_owned(),
            source,
        })?;
        let mut client = Self {
            stream,
            unread: Vec::new(),
        };
        client.greet()?;
        Ok(client)
    }

    /// Makes sure that answers are to this client: what arrives before the greeting's is not.
    fn greet(&mut self) -> Result<(), ClientError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = now.unwrap_or_default().as_nanos();
        let token = format!("{}-{nanoseconds}", std::process::id());
        self.stream.set_read_timeout(Some(PATIENCE))?;
        // Ends what another may have left of a line.
        self.stream.write_all(b"\n")?;
        self.send(&Request::Hello {
            token: token.clone(),
        })?;
        let wanted = Reply::Hello { token };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let (line, _) = self.read_line()?;
            if serde_json::from_slice(&line).is_ok_and(|reply: Reply| reply == wanted) {
                return Ok(());
            }
        }
        Err(ClientError::Unexpected("no greeting".to_owned()))
    }

    /// Sends one request and waits for its reply. A refusal is an error.
    ///
    /// # Errors
    /// When the compositor refuses, or does not answer in time.
    pub fn request(&mut self, request: &Request) -> Result<(Reply, Option<OwnedFd>), ClientError> {
        let asked = match request {
            Request::Wait { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
            _ => Duration::ZERO,
        };
        self.stream.set_read_timeout(Some(asked + PATIENCE))?;
        self.send(request)?;
        let (line, fd) = self.read_line()?;
        match serde_json::from_slice(&line) {
            Ok(Reply::Error { message }) => Err(ClientError::Refused(message)),
            Ok(reply) => Ok((reply, fd)),
            Err(error) => Err(ClientError::Unexpected(error.to_string())),
        }
    }

    /// The screen, after all that is committed by now has been drawn.
    ///
    /// # Errors
    /// As for [`Self::request`].
    pub fn screenshot(&mut self) -> Result<Picture, ClientError> {
        match self.request(&Request::Screenshot {})? {
            (Reply::Screenshot { width, height }, Some(memory)) => {
                read_picture(memory, width, height)
            }
            (reply, _) => Err(ClientError::Unexpected(format!("{reply:?}"))),
        }
    }

    fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// The next line, and the descriptor that came by its end.
    fn read_line(&mut self) -> Result<(Vec<u8>, Option<OwnedFd>), ClientError> {
        let mut fd = None;
        let mut chunk = [0; 16 * 1024];
        let mut seen = 0;
        loop {
            let end = self.unread[seen..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end {
                let rest = self.unread.split_off(seen + end + 1);
                return Ok((std::mem::replace(&mut self.unread, rest), fd));
            }
            seen = self.unread.len();
            if seen > MAX_REPLY_BYTES {
                return Err(ClientError::Unexpected("an endless line".to_owned()));
            }
            let (n, received) = recv_with_fd(&self.stream, &mut chunk)?;
            fd = received.or(fd);
            if n == 0 {
                return Err(ClientError::Closed);
            }
            self.unread.extend_from_slice(&chunk[..n]);
        }
    }
}

fn read_picture(memory: OwnedFd, width: u32, height: u32) -> Result<Picture, ClientError> {
    let count = u64::from(width) * u64::from(height);
    let Some(bytes) = usize::try_from(count * 4)
        .ok()
        .filter(|_| count <= MAX_PIXELS)
    else {
        return Err(ClientError::Unexpected(format!(
            "a picture of {width}x{height}"
        )));
    };
    let mut buffer = vec![0; bytes];
    File::from(memory).read_exact_at(&mut buffer, 0)?;
    let pixels = buffer
        .chunks_exact(4)
        .map(|pixel| u32::from_ne_bytes([pixel[0], pixel[1], pixel[2], pixel[3]]));
    Ok(Picture {
        width,
        height,
        pixels: pixels.collect(),
    })
}
