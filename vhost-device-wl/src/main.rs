//! `vhost-device-wl`: see the library for what it does.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vhost_device_wl::args::Args;
use vhost_device_wl::core::names::NameTable;
use vhost_device_wl::core::quota::{Limits, Quota};
use vhost_device_wl::core::watch::Waker;
use vhost_device_wl::server::{Server, Shared};

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("VIRTIO_WL_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let args = Args::parse().serve;
    let names = Arc::new(NameTable::new());
    for sock in &args.wayland_sock {
        names.add_listening(&sock.name, &sock.path)?;
    }
    let limits = Limits {
        memory: args.max_memory,
        vfds: args.max_vfds,
        ..Limits::default()
    };
    let socket = args.socket.context("--socket is missing")?;
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let shared = Shared::new(
        names,
        Quota::new(limits),
        args.max_frontends,
        virtio_wl::limits::SHMEM_REGION_SIZE,
        args.max_queued,
        args.foreign_memory.into(),
    );
    let gone = Waker::new()?;
    let mut server = Server::new(listener, shared, gone.clone());
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        let interest = if server.has_room() {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut fds = [
            PollFd::new(server.socket(), interest),
            PollFd::new(gone.fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let accept = fds[0].any() == Some(true);
        gone.acknowledge();
        if accept
            && server.has_room()
            && let Err(error) = server.accept()
        {
            tracing::warn!(%error, "frontend not served");
        }
    }
}
