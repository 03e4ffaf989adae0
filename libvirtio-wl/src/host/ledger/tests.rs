use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, poll};

use super::*;

const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    max_count: 4,
    max_size: 32 * 1024,
};

/// Longest a test waits for an event that is due.
const PATIENCE_MS: u16 = 30_000;

fn memory(size: u64) -> File {
    let file = memfd::MemfdOptions::new()
        .create("test")
        .unwrap()
        .into_file();
    file.set_len(size).unwrap();
    file
}

fn wait(ledger: &mut Ledger) -> Freed {
    let fd = &mut [PollFd::new(ledger.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(fd, PATIENCE_MS), Ok(1), "no event");
    ledger.dispatch().unwrap()
}

#[test]
fn charges_are_whole_pages() {
    assert_eq!(charge(0), 4096);
    assert_eq!(charge(1), 4096);
    assert_eq!(charge(4096), 4096);
    assert_eq!(charge(4097), 8192);
    assert_eq!(charge(u64::MAX), u64::MAX);
}

#[test]
fn each_limit_refuses_and_charges_nothing() {
    let account = Account::new(LIMITS);
    assert!(matches!(
        account.reserve(32 * 1024 + 1),
        Err(QuotaExceeded::Size { .. })
    ));
    let one = account.reserve(32 * 1024).unwrap();
    let two = account.reserve(32 * 1024).unwrap();
    assert!(matches!(
        account.reserve(1),
        Err(QuotaExceeded::Bytes { .. })
    ));
    drop(one);
    let small: Vec<_> = (0..3).map(|_| account.reserve(1).unwrap()).collect();
    assert!(matches!(
        account.reserve(1),
        Err(QuotaExceeded::Count { max: 4 })
    ));
    assert_eq!(account.usage().count, 4);
    drop((two, small));
    assert_eq!(account.usage(), Usage::default());
}

#[test]
fn huge_sizes_do_not_wrap() {
    let account = Account::new(Limits {
        max_bytes: u64::MAX,
        max_count: 4,
        max_size: u64::MAX,
    });
    let _one = account.reserve(u64::MAX).unwrap();
    assert!(matches!(
        account.reserve(1),
        Err(QuotaExceeded::Bytes { .. })
    ));
}

#[test]
fn quota_returns_with_the_last_descriptor() {
    let account = Account::new(LIMITS);
    let mut ledger = Ledger::new().unwrap();
    let memory = memory(5000);
    ledger
        .watch(&memory, account.reserve(5000).unwrap())
        .unwrap();
    let copy = memory.try_clone().unwrap();
    drop(memory);
    assert_eq!(ledger.dispatch().unwrap(), Freed::default());
    assert_eq!(account.usage().bytes, 8192);
    drop(copy);
    let freed = wait(&mut ledger);
    assert_eq!((freed.bytes, freed.count), (8192, 1));
    assert_eq!(account.usage(), Usage::default());
    assert!(ledger.is_empty());
}

#[test]
fn each_account_gets_its_own_back() {
    let (a, b) = (Account::new(LIMITS), Account::new(LIMITS));
    let mut ledger = Ledger::new().unwrap();
    let (of_a, of_b) = (memory(1), memory(1));
    ledger.watch(&of_a, a.reserve(1).unwrap()).unwrap();
    ledger.watch(&of_b, b.reserve(1).unwrap()).unwrap();
    drop(of_b);
    wait(&mut ledger);
    assert_eq!((a.usage().count, b.usage().count), (1, 0));
}

#[test]
fn watching_twice_is_refused_and_charges_once() {
    let account = Account::new(LIMITS);
    let mut ledger = Ledger::new().unwrap();
    let memory = memory(1);
    ledger.watch(&memory, account.reserve(1).unwrap()).unwrap();
    let again = ledger.watch(&memory, account.reserve(1).unwrap());
    assert!(matches!(again, Err(WatchError::Twice)), "{again:?}");
    assert_eq!(account.usage().count, 1);
}

#[test]
fn a_recount_after_lost_events_frees_exactly_the_dead() {
    let account = Account::new(LIMITS);
    let mut ledger = Ledger::new().unwrap();
    let (dead, alive) = (memory(1), memory(8192));
    ledger.watch(&dead, account.reserve(1).unwrap()).unwrap();
    ledger
        .watch(&alive, account.reserve(8192).unwrap())
        .unwrap();
    drop(dead);
    // As after an overflow: the events are not looked at.
    let mut freed = Freed::default();
    ledger.recount(&mut freed).unwrap();
    assert_eq!((freed.bytes, freed.count), (4096, 1));
    assert_eq!(account.usage().bytes, 8192);
    // The late events change nothing.
    assert_eq!(wait(&mut ledger), Freed::default());
    drop(alive);
    assert_eq!(wait(&mut ledger).count, 1);
    assert_eq!(account.usage(), Usage::default());
}

/// More ends than the kernel's queue takes, with nobody reading: the overflow is noticed
/// and everything is found again.
#[test]
fn a_real_overflow_loses_nothing() {
    let queue = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queue: u64 = queue.trim().parse().unwrap();
    let account = Account::new(Limits {
        max_bytes: u64::MAX,
        max_count: u64::MAX,
        max_size: 4096,
    });
    let mut ledger = Ledger::new().unwrap();
    let alive = memory(1);
    ledger.watch(&alive, account.reserve(1).unwrap()).unwrap();
    // Each end queues two events.
    for _ in 0..=queue / 2 {
        let dead = memory(1);
        ledger.watch(&dead, account.reserve(1).unwrap()).unwrap();
    }
    assert!(account.usage().count > queue / 2);
    while ledger.len() > 1 {
        wait(&mut ledger);
    }
    assert_eq!(account.usage().count, 1);
    drop(alive);
    // Late events of what the recount has freed already may come first.
    while !ledger.is_empty() {
        wait(&mut ledger);
    }
    assert_eq!(account.usage(), Usage::default());
}

/// A process that keeps a mapping of its standard input, and no descriptor of it.
///
/// It is this test binary again, in [`child_keeps_only_a_mapping`].
fn mapping_holder(memory: &File) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--include-ignored"])
        .arg("host::ledger::tests::child_keeps_only_a_mapping")
        .env(CHILD, "1")
        .stdin(memory.try_clone().unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 1];
    let stderr = child.stderr.as_mut().unwrap();
    std::io::Read::read_exact(stderr, &mut ready).unwrap();
    child
}

const CHILD: &str = "VIRTIO_WL_TEST_MAPPING_HOLDER";

#[test]
fn child_keeps_only_a_mapping() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    child::map_stdin_and_wait();
}

mod child {
    #![allow(unsafe_code)]

    use std::io::Write;

    pub(super) fn map_stdin_and_wait() {
        let length = std::num::NonZeroUsize::new(4096).unwrap();
        let prot = nix::sys::mman::ProtFlags::PROT_READ;
        let shared = nix::sys::mman::MapFlags::MAP_SHARED;
        // SAFETY: a fresh mapping that nothing refers to.
        let mapping =
            unsafe { nix::sys::mman::mmap(None, length, prot, shared, std::io::stdin(), 0) };
        mapping.unwrap();
        // SAFETY: nothing in this child uses its standard input after this.
        assert_eq!(unsafe { libc::close(0) }, 0);
        std::io::stderr().write_all(b"!").unwrap();
        // The parent kills this process; the bound is for a parent that died.
        let _ = nix::poll::poll(&mut [], 60_000_u16);
    }
}

#[test]
fn quota_returns_with_the_last_mapping_in_another_process() {
    let account = Account::new(LIMITS);
    let mut ledger = Ledger::new().unwrap();
    let memory = memory(4096);
    ledger
        .watch(&memory, account.reserve(4096).unwrap())
        .unwrap();
    let mut child = mapping_holder(&memory);
    drop(memory);
    let fd = format!("/proc/{}/fd/0", child.id());
    assert!(
        !std::fs::exists(fd).unwrap(),
        "the child has closed its descriptor"
    );
    assert_eq!(ledger.dispatch().unwrap(), Freed::default());
    assert_eq!(account.usage().bytes, 4096);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(wait(&mut ledger).count, 1);
    assert_eq!(account.usage(), Usage::default());
}

#[test]
fn memory_in_flight_is_still_held() {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    let account = Account::new(LIMITS);
    let mut ledger = Ledger::new().unwrap();
    let memory = memory(1);
    ledger.watch(&memory, account.reserve(1).unwrap()).unwrap();
    let fds = [memory.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let data = [std::io::IoSlice::new(b"x")];
    sendmsg::<()>(a.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).unwrap();
    drop(memory);
    assert_eq!(ledger.dispatch().unwrap(), Freed::default());
    drop((a, b));
    assert_eq!(wait(&mut ledger).count, 1);
}
