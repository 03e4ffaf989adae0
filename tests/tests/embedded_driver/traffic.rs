//! What arrives is what was sent.

use std::{
    io::{self, Read as _, Write as _},
    os::fd::AsFd as _,
    thread,
};

use anyhow::{Result, ensure};
use integration_tests::scm;
use nix::sys::uio::{pread, pwrite};

use virtio_wl::Vfd;

use crate::bench::{Bench, recv, send, send_all};

#[test]
fn bytes_travel_both_ways() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;

    assert_eq!(send(&channel, b"to the host", &[])?, 11);
    let mut bytes = [0; 11];
    host.read_exact(&mut bytes)?;
    assert_eq!(&bytes, b"to the host");

    host.write_all(b"to the guest")?;
    assert_eq!(recv(&channel, 64)?.0, b"to the guest");

    drop(host);
    assert_eq!(recv(&channel, 64)?.0, b"");
    let error = send(&channel, b"x", &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    Ok(())
}

#[test]
fn a_megabyte_each_way_is_intact() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, mut host) = bench.connect(&device)?;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();

    let echo = thread::spawn(move || -> io::Result<()> {
        let mut held = vec![0; 1_000_000];
        host.read_exact(&mut held)?;
        host.write_all(&held)
    });
    send_all(&channel, &sent)?;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let (bytes, _) = recv(&channel, 50_000)?;
        ensure!(!bytes.is_empty(), "ended early");
        received.extend(bytes);
    }
    assert!(received == sent);
    echo.join().expect("echo thread")?;
    Ok(())
}

#[test]
fn memory_is_shared_with_the_host() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open_dispatched()?;
    let (channel, host) = bench.connect(&device)?;

    let memory = device.allocate(10_000)?;
    assert_eq!(memory.size(), 12_288);
    pwrite(memory.as_fd(), b"guest wrote", 5000)?;
    send(&channel, b"m", &[memory.as_fd()])?;

    let (bytes, fds) = scm::recv(&host, 64)?;
    assert_eq!((bytes.as_slice(), fds.len()), (&b"m"[..], 1));
    let mut read = [0; 11];
    pread(&fds[0], &mut read, 5000)?;
    assert_eq!(&read, b"guest wrote");

    pwrite(&fds[0], b"host wrote", 100)?;
    let mut read = [0; 10];
    pread(memory.as_fd(), &mut read, 100)?;
    assert_eq!(&read, b"host wrote");
    Ok(())
}

#[test]
fn twenty_eight_descriptors_each_way() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open_dispatched()?;
    let (channel, host) = bench.connect(&device)?;

    let memories = (0..28_u8)
        .map(|n| {
            let memory = device.allocate(4096)?;
            pwrite(memory.as_fd(), &[n], 0)?;
            Ok(memory)
        })
        .collect::<Result<Vec<_>>>()?;
    let fds: Vec<_> = memories.iter().map(|memory| memory.as_fd()).collect();
    assert_eq!(send(&channel, b"all", &fds)?, 3);
    let (bytes, received) = scm::recv(&host, 64)?;
    assert_eq!((bytes.as_slice(), received.len()), (&b"all"[..], 28));
    for (n, fd) in received.iter().enumerate() {
        let mut first = [0];
        pread(fd, &mut first, 0)?;
        assert_eq!(usize::from(first[0]), n);
    }

    let back: Vec<_> = received.iter().rev().map(|fd| fd.as_fd()).collect();
    scm::send(&host, b"back", &back)?;
    let (bytes, vfds) = recv(&channel, 64)?;
    assert_eq!((bytes.as_slice(), vfds.len()), (&b"back"[..], 28));
    for (n, vfd) in vfds.iter().rev().enumerate() {
        let mut first = [0];
        pread(vfd, &mut first, 0)?;
        assert_eq!(usize::from(first[0]), n);
    }
    Ok(())
}

#[test]
fn a_received_pipe_carries_data_and_ends() -> Result<()> {
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, host) = bench.connect(&device)?;

    let (reader, writer) = io::pipe()?;
    scm::send(&host, b"r", &[reader.as_fd()])?;
    drop(reader);
    let (_, mut vfds) = recv(&channel, 64)?;
    let Some(Vfd::Stream(pipe)) = vfds.pop() else {
        anyhow::bail!("no stream arrived: {vfds:?}");
    };
    assert!(pipe.is_readable() && !pipe.is_writable());
    (&writer).write_all(b"through the pipe")?;
    assert_eq!(recv(&pipe, 64)?.0, b"through the pipe");
    drop(writer);
    assert_eq!(recv(&pipe, 64)?.0, b"");
    Ok(())
}

#[test]
fn mixed_messages_are_exact_both_ways() -> Result<()> {
    const MESSAGES: usize = 1000;
    let bench = Bench::new()?;
    let device = bench.open()?;
    let (channel, host) = bench.connect(&device)?;
    let memory = device.allocate(4096)?;

    let sizes = |n: usize| (1 + n * n % 3968, n % 29);
    let echo = thread::spawn(move || -> Result<()> {
        for n in 0..MESSAGES {
            let (size, count) = sizes(n);
            let mut bytes = Vec::new();
            let mut fds = Vec::new();
            while bytes.len() < size {
                let (more, more_fds) = scm::recv(&host, size - bytes.len())?;
                ensure!(!more.is_empty(), "ended at {n}");
                bytes.extend(more);
                fds.extend(more_fds);
            }
            ensure!(fds.len() == count, "{} of {count} at {n}", fds.len());
            ensure!(bytes.iter().all(|&byte| byte == n as u8), "bytes at {n}");
            let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
            scm::send(&host, &bytes, &fds)?;
        }
        Ok(())
    });
    for n in 0..MESSAGES {
        let (size, count) = sizes(n);
        let fds = vec![memory.as_fd(); count];
        assert_eq!(send(&channel, &vec![n as u8; size], &fds)?, size);
        let mut bytes = Vec::new();
        let mut vfds = Vec::new();
        while bytes.len() < size {
            let (more, more_vfds) = recv(&channel, size - bytes.len())?;
            ensure!(!more.is_empty(), "ended at {n}");
            bytes.extend(more);
            vfds.extend(more_vfds);
        }
        assert_eq!((bytes.len(), vfds.len()), (size, count));
        assert!(bytes.iter().all(|&byte| byte == n as u8));
    }
    echo.join().expect("echo thread")
}

#[test]
fn threads_share_a_device() -> Result<()> {
    const THREADS: u8 = 4;
    let bench = Bench::new()?;
    let device = bench.open_dispatched()?;
    thread::scope(|scope| -> Result<()> {
        let mut workers = Vec::new();
        for n in 0..THREADS {
            let (channel, mut host) = bench.connect(&device)?;
            let device = &device;
            workers.push(scope.spawn(move || -> Result<()> {
                for round in 0..200 {
                    let text = [n, round];
                    send_all(&channel, &text)?;
                    let mut bytes = [0; 2];
                    host.read_exact(&mut bytes)?;
                    host.write_all(&bytes)?;
                    ensure!(recv(&channel, 64)?.0 == text, "thread {n}, round {round}");
                    drop(device.allocate(4096)?);
                }
                Ok(())
            }));
        }
        for worker in workers {
            worker.join().expect("worker")?;
        }
        Ok(())
    })
}
