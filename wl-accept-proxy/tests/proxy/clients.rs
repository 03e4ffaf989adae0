//! Clients: labelled, announced, claimed or closed, and never in each other's way.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use integration_tests::leak::DescriptorCount;

use crate::device::FakeDevice;
use crate::harness::{Proxy, wait_closed};

const VMS: &[(&str, &str)] = &[("work", "#4466cc"), ("personal", "#2e7d32")];

#[test]
fn a_client_reaches_the_guest_under_its_vms_label() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut device = proxy.device()?;
    for (vm, colour) in VMS {
        let mut client = proxy.connect(vm)?;
        let record = device.record()?;
        ensure!(record.vm_name.as_str() == *vm);
        ensure!(record.colour.to_string() == *colour);
        let mut guest = device.claim(&record)?;
        client.write_all(b"to the guest")?;
        let mut bytes = [0; 12];
        guest.read_exact(&mut bytes)?;
        ensure!(&bytes == b"to the guest");
        guest.write_all(b"back")?;
        let mut bytes = [0; 4];
        client.read_exact(&mut bytes)?;
        drop(guest);
        wait_closed(&client)?;
    }
    proxy.stop()
}

#[test]
fn ids_differ_and_names_are_never_used_twice() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut device = proxy.device()?;
    let mut seen = Vec::new();
    for (vm, _) in VMS.iter().cycle().take(20) {
        let _client = proxy.connect(vm)?;
        let record = device.record()?;
        device.claim(&record)?;
        ensure!(!seen.contains(&record.connection), "{record:?}");
        seen.push(record.connection);
    }
    let [work, personal] = ["work", "personal"].map(|vm| {
        let name = virtio_wl::label::VmName::new(vm).expect("a name");
        wl_accept_proxy::ids::from_name(&name)
    });
    ensure!(work != personal);
    proxy.stop()
}

#[test]
fn unclaimed_connections_are_closed_and_claimed_ones_live() -> Result<()> {
    let proxy = Proxy::start_with(VMS, "unclaimed-timeout = 0.2")?;
    let mut device = proxy.device()?;
    let mut kept = proxy.connect("work")?;
    let record = device.record()?;
    let mut guest = device.claim(&record)?;
    let unclaimed = proxy.connect("work")?;
    let record = device.record()?;
    let name = record.connection.to_string();
    device.pump_until("the removal", |device| !device.table.contains_key(&name))?;
    wait_closed(&unclaimed)?;
    // Later than the other one's time was over: its removal came too late.
    kept.write_all(b"x")?;
    guest.read_exact(&mut [0])?;
    proxy.stop()
}

/// What may wait of one VM.
const SHARE: usize = 32;

/// Counts descriptors once the proxy has everything that stays: one client has been
/// through.
fn settled(proxy: &Proxy, device: &mut FakeDevice) -> Result<DescriptorCount> {
    let client = proxy.connect("personal")?;
    let record = device.record()?;
    drop(device.claim(&record)?);
    wait_closed(&client)?;
    DescriptorCount::take("wl-accept-proxy", proxy.daemon.pid())
}

#[test]
fn a_flood_does_not_keep_another_vm_out() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut device = proxy.device()?;
    let before = settled(&proxy, &mut device)?;
    let mut flood = Vec::new();
    // As many as the kernel takes: beyond its backlog `connect` would block.
    for _ in 0..128 {
        flood.push(proxy.connect("work")?);
    }
    let mut quiet = proxy.connect("personal")?;
    let mut records = Vec::new();
    let mine = loop {
        let record = device.record()?;
        if record.vm_name.as_str() == "personal" {
            break record;
        }
        records.push(record);
    };
    device.pump_until("its share to be full", |device| {
        device.table.len() == SHARE + 1
    })?;
    let mut guest = device.claim(&mine)?;
    quiet.write_all(b"x")?;
    guest.read_exact(&mut [0])?;
    // The device has them now; the proxy keeps none.
    before.settle(0)?;
    ensure!(device.table.len() == SHARE, "no more than its share");
    // Whoever is claimed makes room for the next one, until all have had their turn.
    let mut guests = Vec::new();
    while guests.len() < flood.len() {
        let record = match records.pop() {
            Some(record) => record,
            None => device.record()?,
        };
        guests.push(device.claim(&record)?);
    }
    proxy.stop()
}

#[test]
fn clients_that_leave_early_leave_nothing() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let mut device = proxy.device()?;
    let before = settled(&proxy, &mut device)?;
    for _ in 0..300 {
        drop(proxy.connect("work")?);
        let record = device.record()?;
        wait_closed(&device.claim(&record)?)?;
    }
    before.settle(0)?;
    proxy.stop()
}

#[test]
fn a_guest_that_writes_to_the_announcements_hurts_only_itself() -> Result<()> {
    let proxy = Proxy::start(VMS)?;
    let path = proxy.dir.join("run/announce");
    let mut writer = UnixStream::connect(path)?;
    writer.set_write_timeout(Some(integration_tests::wait::STEP))?;
    // Refused at the latest once the proxy has looked at it.
    while writer.write(&[0; 4096]).is_ok() {}
    let mut device = proxy.device()?;
    let _client = proxy.connect("work")?;
    device.record()?;
    proxy.stop()
}
