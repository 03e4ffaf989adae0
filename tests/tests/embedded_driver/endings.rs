//! Everything ends, and nothing is left behind.

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    process, thread,
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    leak::{self, DescriptorCount},
    scm,
    wait::{self, Deadline},
};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};
use virtio_wl::Device;

use crate::bench::{Bench, recv, send, send_all};

/// Runs the device's events until `done`.
fn dispatch_until(
    device: &Device,
    what: &str,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    wait::until(what, Deadline::step(), || {
        device.dispatch()?;
        Ok(done()?.then_some(()))
    })
}

#[test]
fn dropping_a_channel_hangs_up_at_the_host() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    drop(channel);
    device.dispatch()?;
    assert_eq!(host.read(&mut [0; 8])?, 0);
    Ok(())
}

#[test]
fn a_duplicate_keeps_a_channel_open() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    let duplicate = channel.as_fd().try_clone_to_owned()?;
    drop(channel);
    device.dispatch()?;
    assert!(device.identify(duplicate.as_fd())?.is_some());
    host.set_nonblocking(true)?;
    let error = host.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(duplicate);
    // A process that another test starts now holds one more duplicate until it
    // executes its program.
    dispatch_until(&device, "the channel to end", || {
        match host.read(&mut [0; 8]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => Ok(other? == 0),
        }
    })
}

#[test]
fn memory_comes_back_when_nobody_holds_it() -> Result<()> {
    const QUOTA: u64 = 1 << 20;
    let bench = Bench::with_args(&["--max-memory", &QUOTA.to_string()])?;
    let device = bench.open()?;
    for _ in 0..20 {
        let memory = device.allocate(QUOTA)?;
        let mapping = memory.map()?;
        // A mapping alone keeps it.
        drop(memory);
        device.dispatch()?;
        assert!(device.allocate(QUOTA).is_err());
        drop(mapping);
        dispatch_until(&device, "the memory to come back", || {
            Ok(device.allocate(QUOTA).map(drop).is_ok())
        })?;
    }
    Ok(())
}

/// Set in a process that runs one test alone.
const ALONE: &str = "VIRTIO_WL_TEST_ALONE";

#[test]
fn a_thousand_connections_leave_nothing() -> Result<()> {
    // Counting descriptors needs a process without other tests' descriptors.
    if std::env::var_os(ALONE).is_none() {
        let output = process::Command::new(std::env::current_exe()?)
            .args(["--exact", "endings::a_thousand_connections_leave_nothing"])
            .env(ALONE, "1")
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(text.contains("1 passed"), "{text}");
        return Ok(());
    }
    let bench = Bench::new()?;
    let device = bench.open_dispatched()?;
    let round = || -> Result<()> {
        let (channel, host) = bench.connect(&device)?;
        let memory = device.allocate(8192)?;
        send(&channel, b"memory", &[memory.as_fd()])?;
        let (_, fds) = scm::recv(&host, 64)?;
        scm::send(&host, b"back", &[fds[0].as_fd()])?;
        let (bytes, vfds) = recv(&channel, 64)?;
        ensure!(bytes == b"back" && vfds.len() == 1, "{bytes:?} {vfds:?}");
        Ok(())
    };
    for _ in 0..20 {
        round()?;
    }
    device.dispatch()?;
    let guest = DescriptorCount::take("guest", process::id())?;
    let host = DescriptorCount::take("device", bench.daemon.pid())?;
    let memory = leak::resident_kib(bench.daemon.pid())?;
    for _ in 0..1000 {
        round()?;
    }
    dispatch_until(&device, "closes to be seen", || Ok(host.settle(4).is_ok()))?;
    guest.settle(4)?;
    let grown = leak::resident_kib(bench.daemon.pid())?.saturating_sub(memory);
    ensure!(grown < 4096, "the device grew by {grown} KiB");
    Ok(())
}

#[test]
fn the_end_of_the_device_ends_everything() -> Result<()> {
    let mut bench = Bench::new()?;
    let device = bench.open()?;
    let (busy, mut host) = bench.connect(&device)?;
    let (idle, _idle_host) = bench.connect(&device)?;
    let memory = device.allocate(4096)?;

    let reader = thread::spawn(move || -> io::Result<u64> { io::copy(&mut host, &mut io::sink()) });
    let pid = Pid::from_raw(i32::try_from(bench.daemon.pid())?);
    let mut sent = 0;
    let error = loop {
        match send_all(&busy, &[7; 3000]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        if sent == 100 {
            kill(pid, Signal::SIGKILL)?;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(recv(&idle, 64)?.0, b"");
    let error = io::Error::from(device.connect("").unwrap_err());
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
    assert!(device.dispatch().is_err());
    // Memory stays what it is.
    memory.map()?;
    reader.join().expect("reader")?;
    bench.daemon.wait()?;
    Ok(())
}

#[test]
fn a_forked_child_is_no_guest() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    send_all(&channel, b"before")?;
    let child = crate::sys::fork(|| {
        let refused = |result: io::Result<()>| {
            result.is_err_and(|error| error.raw_os_error() == Some(nix::libc::ENODEV))
        };
        let all = refused(send(&channel, b"x", &[]).map(drop))
            && refused(recv(&channel, 64).map(drop))
            && refused(device.connect("").map(drop).map_err(Into::into))
            && refused(device.dispatch());
        i32::from(!all)
    })?;
    assert_eq!(waitpid(child, None)?, WaitStatus::Exited(child, 0));
    send_all(&channel, b" after")?;
    let mut bytes = [0; 12];
    host.read_exact(&mut bytes)?;
    assert_eq!(&bytes, b"before after");
    Ok(())
}

#[test]
fn a_second_guest_is_told_that_the_device_is_busy() -> Result<()> {
    let bench = Bench::new()?;
    let _device = bench.open()?;
    let error = bench.open().err().context("a second frontend was served")?;
    assert!(format!("{error:#}").contains("busy"), "{error:#}");
    Ok(())
}

#[test]
fn received_vfds_that_nobody_takes_are_closed() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, host) = bench.connect(&device)?;
    let (reader, writer) = io::pipe()?;
    scm::send(&host, b"r", &[OwnedFd::from(reader).as_fd()])?;
    wait::readable(&[device.event_fd().context("event fd")?], Deadline::step())?;
    drop(channel);
    dispatch_until(&device, "the pipe to close", || {
        let mut fds = [nix::poll::PollFd::new(
            writer.as_fd(),
            nix::poll::PollFlags::empty(),
        )];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO)?;
        Ok(fds[0].any().unwrap_or(false))
    })
}
