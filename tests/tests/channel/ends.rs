//! The end of a peer, of the guest's interest, of the listener, of the device.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd as _;
use std::thread;

use anyhow::{Result, ensure};
use integration_tests::wait::{self, Deadline};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use virtio_wl::{Channel, Error, MsgFlags, PipeDirection};

use crate::setup::{
    Setup, error_of_sending, pattern, receive, receive_exact, send_all, try_receive,
};

fn errno(error: &io::Error) -> Option<i32> {
    error.raw_os_error()
}

/// The end, as a program sees it: hung up, nothing to receive, nothing to be sent.
fn ended(channel: &Channel) -> Result<()> {
    ensure!(receive(channel, 10)?.0.is_empty(), "there is more");
    ensure!(try_receive(channel, 10)?.0.is_empty(), "and still");
    let error = error_of_sending(channel)?;
    ensure!(errno(&error) == Some(Errno::EPIPE as i32), "{error}");
    let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO)?;
    let events = fds[0].revents().unwrap_or(PollFlags::empty());
    ensure!(events.contains(PollFlags::POLLHUP), "{events:?}");
    Ok(())
}

#[test]
fn nothing_is_there_yet() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let error = try_receive(&channel, 10).expect_err("nothing");
    ensure!(errno(&error) == Some(Errno::EAGAIN as i32), "{error}");
    ensure!(channel.send(&[], &[], MsgFlags::DONTWAIT)? == 0);
    let error = try_receive(&channel, 0).expect_err("no room");
    ensure!(error.kind() == io::ErrorKind::InvalidInput);
    // Without the flag it waits.
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut byte = [0];
            let mut bufs = [IoSliceMut::new(&mut byte)];
            channel.recv(&mut bufs, &mut Vec::new(), MsgFlags::empty())
        });
        peer.send_all(b"!", &[])?;
        ensure!(reader.join().expect("no panic")? == 1);
        Ok(())
    })
}

#[test]
fn the_peer_leaves_at_once() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    drop(peer);
    ended(&channel)
}

#[test]
fn the_peer_leaves_with_data_on_the_way() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let data = pattern(1, 100_000);
    peer.send_all(&data, &[])?;
    drop(peer);
    ensure!(receive_exact(&channel, data.len())?.0 == data);
    ended(&channel)
}

#[test]
fn the_peer_leaves_without_having_read() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    send_all(&channel, &pattern(1, 10_000), &[])?;
    drop(peer);
    ended(&channel)
}

#[test]
fn the_peer_leaves_while_it_is_sent_to() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| send_all(&channel, &pattern(1, 64 << 20), &[]));
        peer.receive_exact(100_000)?;
        drop(peer);
        let error = sender.join().expect("no panic").expect_err("gone");
        ensure!(errno(&error) == Some(Errno::EPIPE as i32), "{error}");
        Ok(())
    })?;
    ended(&channel)
}

#[test]
fn the_peer_leaves_while_it_is_waited_for() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut byte = [0];
            let mut bufs = [IoSliceMut::new(&mut byte)];
            channel.recv(&mut bufs, &mut Vec::new(), MsgFlags::empty())
        });
        drop(peer);
        ensure!(reader.join().expect("no panic")? == 0);
        Ok(())
    })?;
    ended(&channel)
}

#[test]
fn the_peer_leaves_with_descriptors_unread() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let memory = setup.device.allocate(1)?;
    let pipe = setup.device.pipe(PipeDirection::Read)?;
    send_all(&channel, b"x", &[memory.as_fd(), pipe.as_fd()])?;
    drop(peer);
    ended(&channel)?;
    // The far end of the pipe was closed with the message it lay in.
    ensure!(receive(&pipe, 1)?.0.is_empty());
    Ok(())
}

#[test]
fn the_guest_leaves() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let data = pattern(3, 50_000);
    send_all(&channel, &data, &[])?;
    drop(channel);
    ensure!(peer.receive_exact(data.len())?.0 == data);
    ensure!(peer.receive(1)?.0.is_empty());
    Ok(())
}

#[test]
fn the_guest_leaves_with_things_unread() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let (reader, _writer) = io::pipe()?;
    for _ in 0..20 {
        peer.send_all(&[0; 3000], &[reader.as_fd()])?;
    }
    wait::readable(&[channel.as_fd()], Deadline::step())?;
    drop(channel);
    peer.wait_end()
}

#[test]
fn duplicates_keep_a_channel_open() -> Result<()> {
    let setup = Setup::new()?;
    let (channel, peer) = setup.connect()?;
    let duplicate = channel.as_fd().try_clone_to_owned()?;
    drop(channel);
    peer.send_all(b"still", &[])?;
    let ready = wait::readable(&[duplicate.as_fd()], Deadline::step())?;
    ensure!(ready == [true]);
    ensure!(setup.device.identify(duplicate.as_fd())?.is_some());
    drop(duplicate);
    peer.wait_end()
}

#[test]
fn nobody_listens() -> Result<()> {
    let Setup {
        device,
        listener,
        daemon: _daemon,
        dir: _dir,
    } = Setup::new()?;
    drop(listener);
    for name in ["", "no-such-context"] {
        // A process that another test is about to start has the listener until it is itself.
        let error = wait::until("nobody to listen", Deadline::step(), || {
            Ok(device.connect(name).err())
        })?;
        let Error::Connect { source, .. } = error else {
            anyhow::bail!("{error}");
        };
        ensure!(errno(&source) == Some(Errno::ENODEV as i32), "{source}");
    }
    let long = device.connect(&"x".repeat(33));
    ensure!(matches!(long, Err(Error::Name(_))));
    Ok(())
}

#[test]
fn the_device_dies() -> Result<()> {
    let mut setup = Setup::new()?;
    let (idle, _idle_peer) = setup.connect()?;
    let (used, used_peer) = setup.connect()?;
    used_peer.send_all(b"last words", &[])?;
    wait::readable(&[used.as_fd()], Deadline::step())?;
    let memory = setup.device.allocate(100)?;
    let mapping = memory.map()?;
    mapping.write(0, b"mine")?;

    setup.daemon.kill()?;
    ensure!(receive_exact(&used, 10)?.0 == b"last words");
    for channel in [&idle, &used] {
        ended(channel)?;
    }
    ensure!(setup.device.connect("").is_err());
    ensure!(setup.device.allocate(1).is_err());
    ensure!(setup.device.pipe(PipeDirection::Read).is_err());
    let mut kept = [0; 4];
    mapping.read(0, &mut kept)?;
    ensure!(&kept == b"mine");
    Ok(())
}

#[test]
fn a_program_that_dispatches_by_itself() -> Result<()> {
    let Setup {
        device: with_thread,
        listener,
        daemon,
        dir,
    } = Setup::new()?;
    // One frontend at a time: the thread ends with its device.
    drop(with_thread);
    let address = virtio_wl::DeviceAddress::VhostUser(dir.join("device.sock"));
    let device = virtio_wl::Device::open_address(&address)?;
    let channel = device.connect("")?;
    let (socket, _) = listener.accept()?;
    let peer = crate::host::Peer(socket);
    let events = device.event_fd().expect("the embedded driver has one");
    for number in 0..100_u8 {
        peer.send_all(&[number; 10], &[])?;
        let mut received = Vec::new();
        while received.len() < 10 {
            match try_receive(&channel, 10) {
                Ok((data, _)) => received.extend(data),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait::readable(&[events, channel.as_fd()], Deadline::step())?;
                    device.dispatch()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(received == [number; 10]);
        ensure!(channel.send(&[IoSlice::new(&received)], &[], MsgFlags::DONTWAIT)? == 10);
        peer.receive_exact(10)?;
    }
    drop(daemon);
    Ok(())
}
