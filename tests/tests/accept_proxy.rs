//! The accept proxy with the compositor's real device; the guest is this process.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Chain;
use integration_tests::leak::DescriptorCount;
use integration_tests::wait::{self, Deadline};
use virtio_wl::{Channel, Device, Listener, MsgFlags, Peer};

const VMS: [(&str, &str); 2] = [("personal", "#2e7d32"), ("work", "#4466cc")];

fn chain() -> Result<Chain> {
    let builder = Chain::builder()?;
    VMS.iter()
        .fold(builder, |builder, (name, colour)| builder.vm(name, colour))
        .prepare()
}

/// The compositor's VM, opened at its device.
fn guest(chain: &Chain) -> Result<(Device, Listener)> {
    let path = chain.paths().device(integration_tests::chain::COMPOSITOR);
    let address = virtio_wl::DeviceAddress::VhostUser(path);
    let device = Device::open_address(&address)?;
    device.spawn_dispatcher()?;
    // The proxy adds the entry once it has met the device.
    let listener = wait::until("the wl-accept context", Deadline::step(), || {
        Ok(device.listen("wl-accept").ok())
    })?;
    Ok((device, listener))
}

fn connect(chain: &Chain, vm: &str) -> Result<UnixStream> {
    Ok(UnixStream::connect(chain.paths().wayland(vm))?)
}

fn accept(listener: &Listener) -> Result<(Channel, Peer)> {
    loop {
        wait::readable(&[listener.as_fd()], Deadline::step()).context("nobody came")?;
        match listener.accept() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            other => return Ok(other?),
        }
    }
}

fn echo(client: &mut UnixStream, channel: &Channel) -> Result<()> {
    client.write_all(b"ping")?;
    let mut bytes = [0; 4];
    let mut vfds = Vec::new();
    let mut bufs = [IoSliceMut::new(&mut bytes)];
    let count = channel.recv(&mut bufs, &mut vfds, MsgFlags::empty())?;
    ensure!(count == 4 && &bytes == b"ping", "{count}: {bytes:?}");
    channel.send(&[IoSlice::new(b"pong")], &[], MsgFlags::empty())?;
    client.read_exact(&mut bytes)?;
    ensure!(&bytes == b"pong");
    Ok(())
}

/// A client of each VM arrives under its VM's name and colour, and talks.
fn serves(chain: &Chain, listener: &Listener) -> Result<()> {
    for (vm, colour) in VMS {
        let mut client = connect(chain, vm)?;
        let (channel, peer) = accept(listener)?;
        ensure!(peer.vm_name.as_str() == vm, "{peer:?}");
        ensure!(peer.colour.to_string() == colour, "{peer:?}");
        echo(&mut client, &channel)?;
    }
    Ok(())
}

#[test]
fn the_device_first() -> Result<()> {
    let mut chain = chain()?;
    chain.start_compositor_device()?;
    chain.start_accept_proxy()?;
    let (_device, listener) = guest(&chain)?;
    serves(&chain, &listener)?;
    drop((listener, _device));
    chain.stop()
}

#[test]
fn the_proxy_first_and_a_client_before_the_device() -> Result<()> {
    let mut chain = chain()?;
    chain.start_accept_proxy()?;
    let mut early = connect(&chain, "work")?;
    chain.start_compositor_device()?;
    let (_device, listener) = guest(&chain)?;
    let (channel, peer) = accept(&listener)?;
    ensure!(peer.vm_name.as_str() == "work");
    echo(&mut early, &channel)?;
    serves(&chain, &listener)?;
    drop((channel, listener, _device));
    chain.stop()
}

#[test]
fn the_device_and_its_vm_start_again() -> Result<()> {
    let mut chain = chain()?;
    chain.start_compositor_device()?;
    chain.start_accept_proxy()?;
    for _ in 0..3 {
        let (device, listener) = guest(&chain)?;
        serves(&chain, &listener)?;
        chain
            .compositor_device
            .as_mut()
            .context("running")?
            .kill()?;
        drop((listener, device));
        chain.start_compositor_device()?;
    }
    let (_device, listener) = guest(&chain)?;
    serves(&chain, &listener)?;
    drop((listener, _device));
    chain.stop()
}

#[test]
fn the_proxy_starts_again_and_names_go_on() -> Result<()> {
    let mut chain = chain()?;
    chain.start_compositor_device()?;
    chain.start_accept_proxy()?;
    let (device, listener) = guest(&chain)?;
    let mut client = connect(&chain, "work")?;
    let (channel, before) = accept(&listener)?;
    chain
        .accept_proxy
        .as_mut()
        .context("running")?
        .stop_cleanly()?;
    // What has been handed over is none of its business any more.
    echo(&mut client, &channel)?;
    // The listener ends, and the guest opens it again.
    wait::readable(&[listener.as_fd()], Deadline::step())?;
    let ended = listener.accept().expect_err("nobody is there");
    ensure!(ended.raw_os_error() == Some(nix::libc::ENOTCONN), "{ended}");
    chain.start_accept_proxy()?;
    let listener = wait::until("the wl-accept context", Deadline::step(), || {
        Ok(device.listen("wl-accept").ok())
    })?;
    serves(&chain, &listener)?;
    let _client = connect(&chain, "work")?;
    let (_, after) = accept(&listener)?;
    ensure!(before == after, "the same VM, the same id");
    drop((channel, listener, device));
    chain.stop()
}

#[test]
fn a_thousand_connections_leave_no_descriptor() -> Result<()> {
    let mut chain = chain()?;
    chain.start_compositor_device()?;
    chain.start_accept_proxy()?;
    let (_device, listener) = guest(&chain)?;
    serves(&chain, &listener)?;
    let proxy = chain.accept_proxy.as_ref().context("running")?.pid();
    let device = chain.compositor_device.as_ref().context("running")?.pid();
    let proxy = DescriptorCount::take("wl-accept-proxy", proxy)?;
    let device = DescriptorCount::take("vhost-device-wl", device)?;
    for number in 0..1000 {
        let (vm, _) = VMS[number % 2];
        let mut client = connect(&chain, vm)?;
        let (channel, peer) = accept(&listener)?;
        ensure!(peer.vm_name.as_str() == vm);
        echo(&mut client, &channel)?;
    }
    proxy.settle(0)?;
    device.settle(0)?;
    drop((listener, _device));
    chain.stop()
}

#[test]
fn a_flood_of_one_vm_does_not_keep_the_other_out() -> Result<()> {
    let mut chain = chain()?;
    chain.start_compositor_device()?;
    chain.start_accept_proxy()?;
    let (_device, listener) = guest(&chain)?;
    let mut flood = Vec::new();
    for _ in 0..128 {
        flood.push(connect(&chain, "personal")?);
    }
    let mut quiet = connect(&chain, "work")?;
    let mut others = 0;
    let channel = loop {
        let (channel, peer) = accept(&listener)?;
        if peer.vm_name.as_str() == "work" {
            break channel;
        }
        others += 1;
    };
    echo(&mut quiet, &channel)?;
    while others < flood.len() {
        accept(&listener)?;
        others += 1;
    }
    drop((channel, listener, _device));
    chain.stop()
}
