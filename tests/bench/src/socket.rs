//! Round trips over a plain Unix socket: what everything else is compared with.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use crate::{
    Rounds,
    timing::{self, Summary},
};

pub(crate) fn measure(connect: &Path, bytes: usize, rounds: &Rounds) -> Result<Summary> {
    let mut stream = UnixStream::connect(connect)
        .with_context(|| format!("cannot connect to the echo at {}", connect.display()))?;
    let sent = timing::payload(bytes);
    let mut received = vec![0; sent.len()];
    timing::time(rounds, || {
        stream.write_all(&sent)?;
        stream.read_exact(&mut received)?;
        ensure!(sent == received, "the echo changed the bytes");
        Ok(())
    })
}
