use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::core::account::MemoryAccount;
use crate::core::memory::{ForeignMemory, MemoryPort};
use crate::core::quota::Limits;

struct NoPort;

impl MemoryPort for NoPort {
    fn map(&self, _: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn unmap(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }
}

const SHAPE: Shape = Shape {
    max_chunk: 100,
    first_key: 1000,
    end_key: 1 << 31,
    max_socket_queue: 1 << 20,
    max_pipe_queue: 4 << 20,
};

fn session(limits: Limits) -> (Session, Arc<Quota>) {
    let account = Arc::new(MemoryAccount::new(1 << 20).unwrap());
    let memory = MemoryStore::new(
        1 << 20,
        Arc::new(NoPort),
        None,
        account,
        ForeignMemory::Copy,
    );
    let quota = Quota::new(limits);
    let names = Arc::new(NameTable::new());
    let session = Session::new(SHAPE, memory, names, Arc::clone(&quota)).unwrap();
    (session, quota)
}

fn connect(session: &mut Session, key: Key) -> UnixStream {
    let (near, far) = UnixStream::pair().unwrap();
    session.names.add_connected("x", far.into()).unwrap();
    session.connect(key, "x").unwrap();
    near
}

/// Everything there is, as (key, bytes); hang-ups have no bytes.
fn drain(session: &mut Session) -> Vec<(Key, usize)> {
    let mut all = Vec::new();
    loop {
        session.poll();
        let Some(inbound) = session.next_inbound(|_| true) else {
            return all;
        };
        all.push(match inbound {
            Inbound::Data { key, bytes, .. } => (key, bytes.len()),
            Inbound::HangUp { key } => (key, 0),
        });
        session.verify_invariants();
    }
}

#[test]
fn vfds_take_turns() {
    let (mut session, _) = session(Limits::default());
    let mut a = connect(&mut session, 1);
    let mut b = connect(&mut session, 2);
    a.write_all(&[0; 300]).unwrap();
    b.write_all(&[0; 150]).unwrap();
    let order = drain(&mut session);
    let mut first_four: Vec<_> = order[..4].iter().map(|(key, _)| *key).collect();
    first_four[..2].sort_unstable();
    first_four[2..].sort_unstable();
    assert_eq!(first_four, [1, 2, 1, 2]);
    let total = |key| {
        order
            .iter()
            .filter(|(k, _)| *k == key)
            .map(|(_, n)| n)
            .sum::<usize>()
    };
    assert_eq!((total(1), total(2)), (300, 150));
}

#[test]
fn a_vfd_that_may_not_send_is_left_alone_until_it_may() {
    let (mut session, _) = session(Limits::default());
    let mut peer = connect(&mut session, 1);
    peer.write_all(b"x").unwrap();
    session.poll();
    assert!(session.next_inbound(|_| false).is_none());
    session.verify_invariants();
    session.poll();
    assert!(!session.has_inbound(), "it is not even looked at");
    session.resume(1);
    assert_eq!(drain(&mut session), [(1, 1)]);
}

#[test]
fn closing_loses_nothing_that_was_sent() {
    let (mut session, quota) = session(Limits::default());
    session.new_pipe(1, false).unwrap();
    let far = session.forward(1).unwrap();
    let data = vec![7; 1 << 20];
    session.send(1, &data, &[]).unwrap();
    assert!(quota.used(Resource::Queued) > 0);
    session.close(1).unwrap();
    session.verify_invariants();
    assert!(matches!(session.close(1), Err(SessionError::Id)));
    let mut far = std::fs::File::from(far.try_clone().unwrap());
    let mut got = Vec::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        // The pipe ends only when everything has come.
        match far.read(&mut buf).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buf[..n]),
        }
        session.poll();
    }
    assert!(got == data);
    session.verify_invariants();
    assert_eq!(
        (quota.used(Resource::Queued), quota.used(Resource::Vfds)),
        (0, 0)
    );
}

#[test]
fn a_closed_stream_whose_peer_leaves_is_forgotten() {
    let (mut session, quota) = session(Limits::default());
    let peer = connect(&mut session, 1);
    session.send(1, &vec![0; 900_000], &[]).unwrap();
    session.close(1).unwrap();
    assert_eq!(quota.used(Resource::Vfds), 1);
    drop(peer);
    session.poll();
    session.verify_invariants();
    assert_eq!(quota.used(Resource::Vfds), 0);
}

#[test]
fn the_longest_queue_pays_not_the_next_in_line() {
    let limits = Limits {
        queued: 1 << 20,
        ..Limits::default()
    };
    let (mut session, _) = session(limits);
    let _greedy = connect(&mut session, 1);
    let _modest = connect(&mut session, 2);
    session.send(2, &vec![0; 400_000], &[]).unwrap();
    session.send(1, &vec![0; 1_000_000], &[]).unwrap();
    // The next bytes do not fit.
    session.send(2, &vec![0; 200_000], &[]).unwrap();
    session.verify_invariants();
    assert_eq!(
        drain(&mut session),
        [(1, 0)],
        "only the greedy one is dropped"
    );
    assert!(matches!(
        session.send(1, b"x", &[]),
        Err(SessionError::Type)
    ));
    session.send(2, b"x", &[]).unwrap();
}

#[test]
fn one_bad_attachment_sends_nothing_and_uses_nothing_up() {
    let (mut session, _) = session(Limits::default());
    let mut peer = connect(&mut session, 1);
    session.new_pipe(2, true).unwrap();
    assert!(matches!(
        session.send(1, b"x", &[2, 99]),
        Err(SessionError::Id)
    ));
    assert!(matches!(
        session.send(1, b"x", &[2, 2]),
        Err(SessionError::Type)
    ));
    assert!(
        matches!(session.send(2, b"x", &[]), Err(SessionError::Type)),
        "its read end"
    );
    assert!(matches!(
        session.send(1, b"", &[2]),
        Err(SessionError::Type)
    ));
    peer.set_nonblocking(true).unwrap();
    assert!(peer.read(&mut [0; 1]).is_err(), "nothing was sent");
    session.send(1, b"x", &[2]).unwrap();
    assert!(matches!(
        session.send(1, b"x", &[2]),
        Err(SessionError::Type)
    ));
}

#[test]
fn half_closed_is_not_closed() {
    let (mut session, _) = session(Limits::default());
    let mut peer = connect(&mut session, 1);
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(drain(&mut session), [(1, 0)]);
    session.send(1, b"still", &[]).unwrap();
    let mut buf = [0; 5];
    peer.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still");
}

#[test]
fn a_name_is_used_only_when_the_vfd_can_be_made() {
    let limits = Limits {
        vfds: 1,
        ..Limits::default()
    };
    let (mut session, _) = session(limits);
    let _first = connect(&mut session, 1);
    let (_near, far) = UnixStream::pair().unwrap();
    session.names.add_connected("x", far.into()).unwrap();
    assert!(matches!(session.connect(1, "x"), Err(SessionError::Id)));
    assert!(matches!(
        session.connect(2, "x"),
        Err(SessionError::Quota(_))
    ));
    assert_eq!(session.names.list().len(), 1, "it waits for a better time");
    assert!(matches!(
        session.connect(2, "y"),
        Err(SessionError::Quota(_))
    ));
}
