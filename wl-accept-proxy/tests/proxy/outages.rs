//! The compositor's device, or the compositor, comes late, goes and comes back.

use std::io::{Read as _, Write as _};

use anyhow::{Result, ensure};

use crate::device::FakeDevice;
use crate::harness::{Proxy, wait_closed};

const VMS: &[(&str, &str)] = &[("work", "#4466cc")];

fn talk(device: &mut FakeDevice, client: &mut std::os::unix::net::UnixStream) -> Result<()> {
    let record = device.record()?;
    let mut guest = device.claim(&record)?;
    client.write_all(b"x")?;
    guest.read_exact(&mut [0])?;
    Ok(())
}

#[test]
fn clients_wait_for_a_device_that_comes_late() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut early = proxy.connect("work")?;
    let mut device = proxy.device()?;
    talk(&mut device, &mut early)?;
    proxy.stop()
}

#[test]
fn the_device_may_come_and_go() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    for _ in 0..3 {
        let mut device = proxy.device()?;
        let mut client = proxy.connect("work")?;
        talk(&mut device, &mut client)?;
        drop(device);
        // Waits for the next one.
        let mut client = proxy.connect("work")?;
        let mut device = proxy.device()?;
        talk(&mut device, &mut client)?;
    }
    // Said once per outage, not once per attempt: at the start, and after each device.
    let away = proxy.daemon.log_text().matches("device is away").count();
    ensure!((5..=7).contains(&away), "{away} times");
    proxy.stop()
}

#[test]
fn a_connection_in_the_devices_hands_is_offered_again() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut client;
    {
        let mut device = proxy.device()?;
        // Only the entry of the reader is served; the device dies with the request for
        // the connection unread or unanswered.
        client = proxy.connect("work")?;
        device.close_accept();
    }
    let mut device = proxy.device()?;
    talk(&mut device, &mut client)?;
    proxy.stop()
}

#[test]
fn a_new_compositor_is_told_of_those_who_wait() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut device = proxy.device()?;
    let mut client = proxy.connect("work")?;
    let lost = device.record()?;
    device.open_accept()?;
    let record = device.record()?;
    ensure!(record == lost);
    let mut guest = device.claim(&record)?;
    client.write_all(b"x")?;
    guest.read_exact(&mut [0])?;
    proxy.stop()
}

#[test]
fn a_device_that_does_not_answer_is_left() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    {
        let stuck = virtio_wl::host::control::bind_listener(&proxy.control())?;
        let stuck = std::os::unix::net::UnixListener::from(stuck);
        stuck.set_nonblocking(false)?;
        let (link, _) = stuck.accept()?;
        let mut requests = 0;
        // Until the proxy hangs up: requests unread are read, but none is answered.
        loop {
            use integration_tests::wait::{Deadline, readable};
            use std::os::fd::AsFd as _;
            readable(&[link.as_fd()], Deadline::step())?;
            let mut buffer = [0; 4096];
            if virtio_wl::host::control::receive_packet(&link, &mut buffer)?.len == 0 {
                break;
            }
            requests += 1;
        }
        ensure!(requests > 0);
        std::fs::remove_file(proxy.control())?;
    }
    let mut client = proxy.connect("work")?;
    talk(&mut proxy.device()?, &mut client)?;
    proxy.stop()
}

#[test]
fn a_proxy_that_starts_again_finds_its_device() -> Result<()> {
    let first = Proxy::start(VMS)?;
    let mut device = first.device()?;
    let waiting = first.connect("work")?;
    device.record()?;
    // Killed: its entries stay in the device.
    let mut first = first;
    first.daemon.kill()?;
    let mut second = Proxy::start_with(VMS, "unclaimed-timeout = 0.2")?;
    let text = std::fs::read_to_string(second.dir.join("config.toml"))?;
    let theirs = second.control().display().to_string();
    let ours = first.control().display().to_string();
    second.reload_text(&text.replace(&theirs, &ours))?;
    device.close_accept();
    device.pump_until("the old connection to go", |device| device.table.is_empty())?;
    wait_closed(&waiting)?;
    device.open_accept()?;
    let mut client = second.connect("work")?;
    talk(&mut device, &mut client)?;
    second.stop()
}
