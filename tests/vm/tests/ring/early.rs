//! Programs that connect before the compositor's VM has booted are served once it has.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::chain::ChainBuilder;
use integration_tests::vm::VmChain;
use integration_tests::wait::{self, Deadline};

/// Connections of each VM; the accept proxy holds at most 32 of one VM, and 128 of all.
const EACH: usize = 25;
/// VMs, of which nothing but the accept proxy's socket is needed.
const VMS: [&str; 4] = ["red", "green", "blue", "grey"];
/// How long the accept proxy may hold a connection that nobody has claimed, in seconds: a boot.
const UNCLAIMED_SECONDS: u32 = 600;

/// `wl_display.get_registry` with the new object 2, then `wl_display.sync` with 3.
fn hello() -> Vec<u8> {
    let message = |opcode: u32, new_id: u32| [1, (12 << 16) | opcode, new_id];
    let words = [message(1, 2), message(0, 3)].concat();
    words
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .collect()
}

/// Reads messages until the one that answers the sync: `wl_callback.done` of object 3.
fn wait_done(socket: &mut UnixStream, deadline: Deadline) -> Result<usize> {
    let mut globals = 0;
    loop {
        wait::readable(&[socket.as_fd()], deadline)?;
        let mut header = [0; 8];
        socket.read_exact(&mut header).context("hung up on")?;
        let word = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u32::from_ne_bytes(bytes)
        };
        let (object, size) = (word(0), usize::try_from(word(4) >> 16)?);
        let mut body = vec![0; size.checked_sub(8).context("size of a message")?];
        socket.read_exact(&mut body).context("hung up on")?;
        match object {
            2 => globals += 1,
            3 => return Ok(globals),
            _ => {}
        }
    }
}

#[test]
fn a_hundred_connections_wait_for_the_compositors_boot() -> Result<()> {
    let Some(mut builder) = VmChain::for_test()? else {
        return Ok(());
    };
    for name in VMS {
        builder = builder.app(name, "#808080");
    }
    let unclaimed = |chain: ChainBuilder| chain.unclaimed_timeout(UNCLAIMED_SECONDS);
    let mut chain = builder.host(unclaimed).prepare()?;
    let mut sockets = Vec::new();
    for _ in 0..EACH {
        for name in VMS {
            let path = chain.host().paths().wayland(name);
            let mut socket = UnixStream::connect(path).context("accept proxy")?;
            socket.write_all(&hello()).context("accept proxy")?;
            sockets.push(socket);
        }
    }
    chain.start_compositor()?;
    let deadline = Deadline::after(integration_tests::vm::STEP);
    for (number, socket) in sockets.iter_mut().enumerate() {
        let globals = wait_done(socket, deadline);
        let globals = globals.with_context(|| format!("connection {number}"))?;
        ensure!(globals > 5, "connection {number} got {globals} globals");
    }
    drop(sockets);
    chain.stop()
}
