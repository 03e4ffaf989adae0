use std::{
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use memfd::MemfdOptions;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{
    layout::SLOTS,
    mock::{MockDevice, Taken, map_request},
    *,
};
use crate::{
    limits::{INITIAL_CREDIT, MAX_CHUNK, QUEUE_SIZE},
    wire::{Event, Features, MemoryRange, Response, VfdInfo},
};

const BASE: Features = Features::TRANS_FLAGS.union(Features::USE_SHMEM);
const SOCKET: VfdFlags = VfdFlags::READ.union(VfdFlags::WRITE);

pub(super) fn pair(features: Features) -> (UserDriver, MockDevice) {
    let (device, session) = MockDevice::new(features);
    let shared = Shared::new(session, Duration::ZERO);
    (UserDriver { shared }, device)
}

fn socket(id: VfdId) -> VfdInfo {
    VfdInfo {
        id,
        flags: SOCKET,
        memory: None,
    }
}

pub(super) fn host_id(n: u32) -> VfdId {
    VfdId::host(0x4000_0000 + n).unwrap()
}

pub(super) fn parsed(request: &Taken, features: Features) -> Request<'_> {
    Request::parse(&request.bytes, features).unwrap()
}

/// Connects; returns the VFD and its id.
pub(super) fn connect(driver: &UserDriver, device: &mut MockDevice) -> (NewVfd, VfdId) {
    thread::scope(|scope| {
        let new = scope.spawn(|| driver.new_context(&ContextName::DEFAULT));
        loop {
            let request = device.wait();
            match parsed(&request, device.features) {
                Request::NewContext { id, .. } => {
                    device.answer(&request, Response::VfdNew(socket(id)));
                    return (new.join().unwrap().unwrap(), id);
                }
                Request::Close { .. } => device.answer(&request, Response::Ok),
                other => panic!("{other:?}"),
            }
        }
    })
}

fn send(driver: &UserDriver, vfd: &NewVfd, bytes: &[u8]) -> io::Result<usize> {
    driver.send(vfd.fd.as_fd(), &[IoSlice::new(bytes)], &[], true)
}

pub(super) fn recv(
    driver: &UserDriver,
    vfd: &NewVfd,
    len: usize,
) -> io::Result<(Vec<u8>, Vec<NewVfd>)> {
    let mut bytes = vec![0; len];
    let mut vfds = Vec::new();
    let count = driver.recv(
        vfd.fd.as_fd(),
        &mut [IoSliceMut::new(&mut bytes)],
        &mut vfds,
        true,
    )?;
    bytes.truncate(count);
    Ok((bytes, vfds))
}

fn events(fd: BorrowedFd<'_>) -> PollFlags {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap();
    fds[0].revents().unwrap()
}

pub(super) fn errno(result: io::Result<impl Sized>) -> Errno {
    let error = result.err().expect("it succeeded");
    Errno::from_raw(error.raw_os_error().expect("no errno"))
}

#[test]
fn a_message_takes_one_request() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    let bufs = [
        IoSlice::new(b"one "),
        IoSlice::new(b""),
        IoSlice::new(b"message"),
    ];
    assert_eq!(driver.send(vfd.fd.as_fd(), &bufs, &[], true).unwrap(), 11);
    let expected = Request::Send {
        id,
        vfds: vec![],
        data: b"one message",
    };
    assert_eq!(parsed(&device.wait(), BASE), expected);
    assert!(device.take().is_none());
}

#[test]
fn a_long_message_is_cut_and_its_vfds_go_first() {
    let (driver, mut device) = pair(BASE);
    let (vfd, _) = connect(&driver, &mut device);
    let (other, other_id) = connect(&driver, &mut device);
    let data = vec![9; 2 * MAX_CHUNK + 5];
    let bufs = [IoSlice::new(&data[..100]), IoSlice::new(&data[100..])];
    let fds = [other.fd.as_fd()];
    let sent = driver.send(vfd.fd.as_fd(), &bufs, &fds, true).unwrap();
    assert_eq!(sent, data.len());
    for (len, expected) in [
        (MAX_CHUNK, vec![other_id]),
        (MAX_CHUNK, vec![]),
        (5, vec![]),
    ] {
        let request = device.wait();
        let Request::Send { vfds, data, .. } = parsed(&request, BASE) else {
            panic!("not a message");
        };
        assert_eq!((data.len(), vfds), (len, expected));
    }
}

#[test]
fn a_failure_is_told_by_the_next_call() {
    let (driver, mut device) = pair(BASE);
    let (vfd, _) = connect(&driver, &mut device);
    assert_eq!(send(&driver, &vfd, b"x").unwrap(), 1);
    let request = device.wait();
    device.answer(&request, Response::Err);
    assert_eq!(errno(send(&driver, &vfd, b"x")), Errno::EPIPE);
}

#[test]
fn replies_map_to_errors() {
    for (response, expected) in [
        (Response::Err, Errno::ENODEV),
        (Response::OutOfMemory, Errno::ENOMEM),
        (Response::InvalidCmd, Errno::ENOTTY),
        (Response::VfdNew(socket(host_id(1))), Errno::EPROTO),
        (Response::Ok, Errno::EPROTO),
    ] {
        let (driver, mut device) = pair(BASE);
        thread::scope(|scope| {
            let new = scope.spawn(|| driver.new_pipe(PipeDirection::Read));
            let request = device.wait();
            device.answer(&request, response);
            assert_eq!(errno(new.join().unwrap()), expected);
        });
    }
}

#[test]
fn a_stuck_stream_leaves_room_for_all_others() {
    let (driver, mut device) = pair(BASE);
    let streams: Vec<_> = (0..32).map(|_| connect(&driver, &mut device).0).collect();
    // Nothing is finished from here on.
    for stream in &streams {
        let mut sent = 0;
        while send(&driver, stream, b"x").is_ok() {
            sent += 1;
            assert!(sent < SLOTS, "no bound");
        }
        assert!(sent > 0, "no room left");
        assert_eq!(errno(send(&driver, stream, b"x")), Errno::EAGAIN);
    }
    // Requests of other kinds find a slot too.
    connect(&driver, device_after(&mut device));
}

/// The device, having skipped all messages that wait.
fn device_after(device: &mut MockDevice) -> &mut MockDevice {
    while device.take().is_some() {}
    device
}

#[test]
fn room_that_was_asked_for_is_announced() {
    let (driver, mut device) = pair(BASE);
    let (vfd, _) = connect(&driver, &mut device);
    while send(&driver, &vfd, b"x").is_ok() {}
    driver.dispatch().unwrap();
    assert_eq!(events(driver.event_fd().unwrap()), PollFlags::empty());
    // The driver asked for an interrupt with the next finished request.
    assert_eq!(device.outbound.used_event(), device.outbound.used);
    let request = device.wait();
    device.answer(&request, Response::Ok);
    assert_eq!(events(driver.event_fd().unwrap()), PollFlags::POLLIN);
    driver.dispatch().unwrap();
    assert_eq!(send(&driver, &vfd, b"x").unwrap(), 1);
}

#[test]
fn the_fd_of_a_sender_who_was_turned_away_shows_room() {
    let (driver, mut device) = pair(BASE);
    let (vfd, _) = connect(&driver, &mut device);
    let (other, _) = connect(&driver, &mut device);
    while send(&driver, &vfd, b"x").is_ok() {}
    // Others who find room do not make it forgotten.
    assert_eq!(send(&driver, &other, b"x").unwrap(), 1);
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::empty());
    let request = device.wait();
    device.answer(&request, Response::Ok);
    driver.dispatch().unwrap();
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLIN);
    assert_eq!(events(other.fd.as_fd()), PollFlags::empty());
    assert_eq!(errno(recv(&driver, &vfd, 1)), Errno::EAGAIN);
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::empty());
    while send(&driver, &vfd, b"x").is_ok() {}
    let request = device.wait();
    device.answer(&request, Response::Ok);
    driver.dispatch().unwrap();
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLIN);
    // Sending again says that it was heard as well as receiving.
    assert_eq!(send(&driver, &vfd, b"x").unwrap(), 1);
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::empty());
}

#[test]
fn messages_may_overtake_the_reply_to_a_creation() {
    let (driver, mut device) = pair(BASE);
    let new = thread::scope(|scope| {
        let new = scope.spawn(|| driver.new_context(&ContextName::DEFAULT));
        let request = device.wait();
        let Request::NewContext { id, .. } = parsed(&request, BASE) else {
            panic!("not a context");
        };
        device.answer(&request, Response::VfdNew(socket(id)));
        let vfds = vec![];
        let data = b"early";
        device.send(&Event::Recv { id, vfds, data });
        new.join().unwrap().unwrap()
    });
    assert_eq!(recv(&driver, &new, 9).unwrap().0, b"early");
}

#[test]
fn the_fd_shows_data_and_the_end() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::empty());
    assert_eq!(errno(recv(&driver, &vfd, 1)), Errno::EAGAIN);
    device.send(&Event::Recv {
        id,
        vfds: vec![],
        data: b"data",
    });
    device.send(&Event::Hup { id });
    driver.dispatch().unwrap();
    // No hang-up while there is data: some users close on it without a look.
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLIN);
    assert_eq!(recv(&driver, &vfd, 2).unwrap().0, b"da");
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLIN);
    assert_eq!(recv(&driver, &vfd, 9).unwrap().0, b"ta");
    assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLHUP);
    assert_eq!(recv(&driver, &vfd, 9).unwrap().0, b"");
    assert_eq!(errno(send(&driver, &vfd, b"x")), Errno::EPIPE);
    let kind = driver.identify(vfd.fd.as_fd()).unwrap();
    assert_eq!(kind, Some(VfdKind::Socket));
    assert_eq!(parsed(&device.wait(), BASE), Request::Close { id });
}

#[test]
fn received_vfds_are_handed_out_in_order() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    let memfd = MemfdOptions::default().create("test").unwrap();
    memfd.as_file().set_len(8192).unwrap();
    device.request(&map_request(9, 0x5000, 8192), Some(memfd.as_file().as_fd()));
    driver.dispatch().unwrap();
    assert_eq!(device.answered(), 0);
    device.send(&Event::VfdNew(VfdInfo {
        id: host_id(1),
        flags: VfdFlags::empty(),
        memory: Some(MemoryRange { pfn: 5, size: 8000 }),
    }));
    device.send(&Event::VfdNew(VfdInfo {
        id: host_id(2),
        flags: VfdFlags::READ,
        memory: None,
    }));
    device.send(&Event::Recv {
        id,
        vfds: vec![host_id(1), host_id(2)],
        data: b"two",
    });
    let (bytes, vfds) = recv(&driver, &vfd, 9).unwrap();
    assert_eq!(bytes, b"two");
    let kinds: Vec<_> = vfds.iter().map(|vfd| vfd.kind).collect();
    let pipe = VfdKind::Pipe {
        read: true,
        write: false,
    };
    assert_eq!(kinds, [VfdKind::Memory { size: 8000 }, pipe]);
    let file = FileId::of(memfd.as_file()).unwrap();
    assert_eq!(FileId::of(&vfds[0].fd).unwrap(), file);
    assert_eq!(errno(send(&driver, &vfds[1], b"x")), Errno::EBADF);
    assert_eq!(errno(send(&driver, &vfds[0], b"x")), Errno::EINVAL);
}

#[test]
fn what_comes_for_a_closed_vfd_is_closed_too() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    driver.close(vfd.fd);
    assert_eq!(parsed(&device.wait(), BASE), Request::Close { id });
    device.send(&Event::VfdNew(socket(host_id(1))));
    device.send(&Event::Recv {
        id,
        vfds: vec![host_id(1)],
        data: b"late",
    });
    device.send(&Event::Hup { id });
    driver.dispatch().unwrap();
    let id = host_id(1);
    assert_eq!(parsed(&device.wait(), BASE), Request::Close { id });
}

#[test]
fn credit_is_given_as_the_reader_consumes() {
    let features = BASE | Features::CREDIT;
    let (driver, mut device) = pair(features);
    let (vfd, id) = connect(&driver, &mut device);
    let data = [3; MAX_CHUNK];
    let messages = INITIAL_CREDIT as usize / MAX_CHUNK;
    for _ in 0..messages {
        let vfds = vec![];
        device.send(&Event::Recv {
            id,
            vfds,
            data: &data,
        });
        driver.dispatch().unwrap();
    }
    // Taken out of the buffers, which the device has back, but not consumed.
    assert!(device.take().is_none());
    let mut granted = 0;
    let mut consumed = 0;
    while consumed < messages * MAX_CHUNK {
        consumed += recv(&driver, &vfd, 10_000).unwrap().0.len();
        while let Some(request) = device.take() {
            let Request::Credit { id: of, units } = parsed(&request, features) else {
                panic!("not credit");
            };
            assert_eq!(of, id);
            granted += units as usize;
            device.answer(&request, Response::Ok);
        }
        assert!(granted <= consumed);
        assert!(consumed - granted < INITIAL_CREDIT as usize / 4);
    }
}

#[test]
fn without_credit_buffers_are_kept_until_the_reader_comes() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    let data = [3; MAX_CHUNK];
    let mut sent = 0;
    let limit = usize::from(QUEUE_SIZE) + INITIAL_CREDIT as usize / MAX_CHUNK + 1;
    while device.inbound.has_buffer() {
        let vfds = vec![];
        device.send(&Event::Recv {
            id,
            vfds,
            data: &data,
        });
        driver.dispatch().unwrap();
        sent += 1;
        assert!(sent <= limit, "no bound");
    }
    let mut received = 0;
    while received < sent * MAX_CHUNK {
        received += recv(&driver, &vfd, 50_000).unwrap().0.len();
    }
    assert!(device.inbound.has_buffer());
}

#[test]
fn a_device_that_breaks_the_rules_is_left() {
    let unknown_type = [0xff; 12].to_vec();
    let mut twice = Vec::new();
    Event::VfdNew(socket(host_id(1))).encode(BASE, &mut twice);
    for (count, message) in [(1, unknown_type), (1, vec![]), (2, twice)] {
        let (driver, mut device) = pair(BASE);
        let (vfd, _) = connect(&driver, &mut device);
        for _ in 0..count {
            device.send_bytes(&message);
        }
        assert_eq!(errno(driver.dispatch()), Errno::ENODEV);
        assert_eq!(events(vfd.fd.as_fd()), PollFlags::POLLHUP);
        assert_eq!(recv(&driver, &vfd, 9).unwrap().0, b"");
        assert_eq!(errno(send(&driver, &vfd, b"x")), Errno::EPIPE);
        assert_eq!(errno(driver.new_memory(4096)), Errno::ENODEV);
        assert_eq!(events(driver.event_fd().unwrap()), PollFlags::empty());
    }
}

#[test]
fn the_end_of_the_device_ends_all_waiting() {
    let (driver, mut device) = pair(BASE);
    let (vfd, _) = connect(&driver, &mut device);
    let (other, _) = connect(&driver, &mut device);
    thread::scope(|scope| {
        let receive = |vfd: &NewVfd| {
            let mut bytes = [0; 9];
            let bufs = &mut [IoSliceMut::new(&mut bytes)];
            driver.recv(vfd.fd.as_fd(), bufs, &mut Vec::new(), false)
        };
        let first = scope.spawn(move || receive(&vfd));
        let second = scope.spawn(move || receive(&other));
        let create = scope.spawn(|| driver.new_memory(4096));
        device.wait();
        drop(device);
        assert_eq!(first.join().unwrap().unwrap(), 0);
        assert_eq!(second.join().unwrap().unwrap(), 0);
        assert_eq!(errno(create.join().unwrap()), Errno::ENODEV);
    });
}

#[test]
fn a_busy_thread_of_another_kind_serves_those_that_wait() {
    let (driver, mut device) = pair(BASE);
    let (vfd, id) = connect(&driver, &mut device);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Takes most events away from the thread that waits for them.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                driver.dispatch().unwrap();
            }
        });
        let waiting = scope.spawn(|| {
            for n in 0..200_u8 {
                let mut bytes = [0; 1];
                let bufs = &mut [IoSliceMut::new(&mut bytes)];
                let count = driver
                    .recv(vfd.fd.as_fd(), bufs, &mut Vec::new(), false)
                    .unwrap();
                assert_eq!((count, bytes), (1, [n]));
                driver
                    .send(vfd.fd.as_fd(), &[IoSlice::new(&bytes)], &[], false)
                    .unwrap();
            }
        });
        for n in 0..200_u8 {
            let (vfds, data) = (vec![], &[n][..]);
            device.send(&Event::Recv { id, vfds, data });
            let request = device.wait();
            device.answer(&request, Response::Ok);
        }
        waiting.join().unwrap();
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn looking_for_news_finds_it() {
    let (mut device, session) = MockDevice::new(BASE);
    let shared = Shared::new(session, Duration::from_millis(50));
    let driver = UserDriver { shared };
    let (vfd, id) = connect(&driver, &mut device);
    let vfds = vec![];
    device.send(&Event::Recv {
        id,
        vfds,
        data: b"x",
    });
    let mut bytes = [0; 1];
    let bufs = &mut [IoSliceMut::new(&mut bytes)];
    let received = driver.recv(vfd.fd.as_fd(), bufs, &mut Vec::new(), false);
    assert_eq!(received.unwrap(), 1);
}
