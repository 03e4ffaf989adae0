use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use virtio_wl::host::ledger::{Limits, Usage};

use super::*;

fn account() -> Account {
    Account::new(Limits {
        max_bytes: 16 * 4096,
        max_count: 3,
        max_size: 1 << 40,
    })
}

#[test]
fn memory_is_exact_sealed_and_not_executable() {
    let file = sealed_memory(12_345).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 12_345);
    let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap();
    let seals = SealFlag::from_bits_retain(seals);
    let wanted = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    assert!(seals.contains(wanted), "{seals:?}");
    assert!(!seals.contains(SealFlag::F_SEAL_WRITE));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o111, 0);
    for size in [0, 12_344, 12_346] {
        assert!(file.set_len(size).is_err());
    }
}

#[test]
fn memory_costs_nothing_until_it_is_touched() {
    use std::os::unix::fs::MetadataExt;
    let file = sealed_memory(1 << 36).unwrap();
    assert_eq!(file.metadata().unwrap().blocks(), 0);
}

#[test]
fn what_cannot_be_made_is_not_charged() {
    let account = Account::new(Limits {
        max_bytes: u64::MAX,
        max_count: 1,
        max_size: u64::MAX,
    });
    let mut ledger = Ledger::new().unwrap();
    let refusal = provide(u64::MAX, &account, &mut ledger).unwrap_err();
    assert_eq!(refusal.status(), MemfdStatus::NO_MEMORY);
    assert_eq!(account.usage(), Usage::default());
    assert!(ledger.is_empty());
}

/// Waits until memory has gone, without looking at what has. A process that another
/// test starts now holds a duplicate until it executes its program.
fn wait_for_end(ledger: &Ledger) {
    let mut ready = [PollFd::new(ledger.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::from(30_000_u16);
    assert_eq!(poll(&mut ready, timeout), Ok(1), "the memory never ended");
}

#[test]
fn quota_is_charged_and_returns() {
    let account = account();
    let mut ledger = Ledger::new().unwrap();
    let reply = provide(16 * 4096, &account, &mut ledger).unwrap();
    assert_eq!(reply.status, MemfdStatus::OK);
    let refusal = provide(1, &account, &mut ledger).unwrap_err();
    assert_eq!(refusal.status(), MemfdStatus::QUOTA);
    drop(reply);
    wait_for_end(&ledger);
    // Nobody has looked at the ledger's events: the request itself does.
    let reply = provide(1, &account, &mut ledger).unwrap();
    assert_eq!(account.usage().bytes, 4096);
    drop(reply);
    wait_for_end(&ledger);
    ledger.dispatch().unwrap();
    assert_eq!(account.usage(), Usage::default());
}
