use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::*;

const LIMIT: u64 = 1 << 20;

#[derive(Debug, Default)]
struct Port {
    log: Mutex<Vec<(&'static str, u64, u64)>>,
    broken: Mutex<bool>,
}

impl Port {
    fn take(&self) -> Vec<(&'static str, u64, u64)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn act(&self, what: &'static str, offset: u64, len: u64) -> io::Result<()> {
        if *self.broken.lock().unwrap() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.log.lock().unwrap().push((what, offset, len));
        Ok(())
    }
}

impl MemoryPort for Port {
    fn map(&self, _fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
        self.act("map", offset, len)
    }

    fn unmap(&self, offset: u64, len: u64) -> io::Result<()> {
        self.act("unmap", offset, len)
    }
}

fn store(foreign: ForeignMemory) -> (MemoryStore, Arc<Port>, Arc<MemoryAccount>) {
    let port = Arc::new(Port::default());
    let account = Arc::new(MemoryAccount::new(LIMIT).unwrap());
    let dyn_port = Arc::clone(&port) as Arc<dyn MemoryPort>;
    let store = MemoryStore::new(4 << 20, dyn_port, None, Arc::clone(&account), foreign);
    (store, port, account)
}

fn memfd(size: u64, seals: SealFlag) -> Arc<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("test", flags).unwrap());
    file.set_len(size).unwrap();
    file.write_all_at(b"contents", 0).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    Arc::new(file.into())
}

fn file(block: &Block) -> File {
    block.fd.try_clone().unwrap().into()
}

fn tidy(store: &mut MemoryStore) {
    while store.reap(true) {}
}

fn identity(fd: &OwnedFd) -> u64 {
    fstat(fd).unwrap().st_ino
}

#[test]
fn memory_is_whole_pages_of_final_size() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let block = store.allocate(5000).unwrap();
    assert_eq!((block.size(), block.offset()), (8192, Some(0)));
    assert_eq!(port.take(), [("map", 0, 8192)]);
    for size in [0, 4096, 16384] {
        assert!(file(&block).set_len(size).is_err());
    }
    for bad in [0, u64::from(u32::MAX), 1 << 40] {
        assert!(
            matches!(store.allocate(bad), Err(MemoryError::Size(_))),
            "{bad}"
        );
    }
    store.verify_invariants();
}

#[test]
fn a_private_mapping_is_used_again_and_found_empty() {
    let (mut store, port, account) = store(ForeignMemory::Copy);
    let _in_use = store.allocate(4096).unwrap();
    port.take();
    let block = store.allocate(4096).unwrap();
    let first = identity(&block.fd);
    file(&block).write_all_at(b"secret", 0).unwrap();
    store.release(block);
    assert_eq!(account.used(), 8192, "what waits is still held");
    let block = store.allocate(4096).unwrap();
    assert_eq!((identity(&block.fd), block.offset()), (first, Some(4096)));
    let mut seen = [1; 6];
    file(&block).read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(seen, [0; 6]);
    assert_eq!(port.take(), [("map", 4096, 4096)], "mapped once");
    // Another size is another mapping.
    let other = store.allocate(8192).unwrap();
    assert_eq!(other.offset(), Some(8192));
}

#[test]
fn nothing_stays_mapped_once_nothing_is_in_use() {
    let (mut store, port, account) = store(ForeignMemory::Copy);
    let [first, second] = [4096, 8192].map(|size| store.allocate(size).unwrap());
    store.release(first);
    assert!(!store.is_leaving(), "it waits for the next of its size");
    tidy(&mut store);
    assert_eq!(store.mapped(), (12288, 2));
    store.release(second);
    assert!(store.is_leaving());
    port.take();
    tidy(&mut store);
    assert_eq!(port.take(), [("unmap", 0, 4096), ("unmap", 4096, 8192)]);
    assert_eq!((store.mapped(), account.used()), ((0, 0), 0));
    assert!(!store.is_leaving());
    store.verify_invariants();
}

#[test]
fn memory_others_may_hold_is_not_used_again() {
    let (mut store, port, account) = store(ForeignMemory::Copy);
    let mut block = store.allocate(4096).unwrap();
    let passed_on = block.share();
    store.release(block);
    tidy(&mut store);
    assert_eq!(port.take(), [("map", 0, 4096), ("unmap", 0, 4096)]);
    assert_eq!(account.used(), 4096);
    drop(passed_on);
    assert_eq!(account.used(), 0);
}

#[test]
fn what_waits_makes_room_for_what_is_needed() {
    let (mut store, _, account) = store(ForeignMemory::Copy);
    let in_use = store.allocate(4096).unwrap();
    let block = store.allocate(LIMIT - 4096).unwrap();
    store.release(block);
    assert_eq!(account.used(), LIMIT);
    let block = store.allocate(8192).unwrap();
    assert_eq!(account.used(), 12288);
    assert!(matches!(
        store.allocate(LIMIT),
        Err(MemoryError::Account(_))
    ));
    store.release(block);
    // Many small ones do not pile up.
    let blocks: Vec<_> = (1..25)
        .map(|n| store.allocate(n * 4096 / 2).unwrap())
        .collect();
    for block in blocks.into_iter().chain([in_use]) {
        store.release(block);
        store.verify_invariants();
    }
}

#[test]
fn writable_memory_is_shared_once_it_cannot_shrink() {
    let (mut store, port, account) = store(ForeignMemory::Refuse);
    let peer = memfd(8192, SealFlag::empty());
    let block = store.adopt(Arc::clone(&peer), true).unwrap();
    assert_eq!(identity(&block.fd), identity(&peer));
    assert!(cannot_shrink(&*peer));
    assert_eq!(account.used(), 0, "it is not ours");
    // The same file again: the same mapping, until both are gone.
    let again = store.adopt(Arc::clone(&peer), true).unwrap();
    assert_eq!(again.offset(), block.offset());
    store.release(block);
    assert_eq!(port.take(), [("map", 0, 8192)]);
    store.release(again);
    tidy(&mut store);
    assert_eq!(port.take(), [("unmap", 0, 8192)]);
    store.verify_invariants();
}

#[test]
fn unmapping_is_done_bit_by_bit_and_not_for_a_file_that_comes_again() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let peers = [8192, 4096, 12288].map(|size| memfd(size, SealFlag::empty()));
    let blocks = peers
        .each_ref()
        .map(|peer| store.adopt(Arc::clone(peer), true).unwrap());
    let place = blocks[1].offset();
    blocks.into_iter().for_each(|block| store.release(block));
    assert_eq!(port.take().len(), 3, "mapped");
    let again = store.adopt(Arc::clone(&peers[1]), true).unwrap();
    assert_eq!(again.offset(), place);
    store.verify_invariants();
    assert!(store.reap(false), "no time");
    assert!(store.reap(true), "there is more");
    assert_eq!(port.take(), [("unmap", 0, 8192)]);
    assert!(!store.reap(true));
    assert_eq!(port.take(), [("unmap", 12288, 12288)]);
    store.release(again);
    // Room that is needed is made at once.
    let whole = store
        .adopt(memfd(4 << 20, SealFlag::empty()), true)
        .unwrap();
    assert_eq!(port.take(), [("unmap", 8192, 4096), ("map", 0, 4 << 20)]);
    store.release(whole);
    store.verify_invariants();
}

#[test]
fn a_file_that_has_grown_is_mapped_anew() {
    let (mut store, _, _) = store(ForeignMemory::Copy);
    let peer = memfd(4096, SealFlag::empty());
    let small = store.adopt(Arc::clone(&peer), true).unwrap();
    File::from(peer.try_clone().unwrap()).set_len(8192).unwrap();
    let large = store.adopt(Arc::clone(&peer), true).unwrap();
    assert_eq!((small.size(), large.size()), (4096, 8192));
    assert_ne!(small.offset(), large.offset());
    store.release(small);
    let third = store.adopt(peer, true).unwrap();
    assert_eq!(third.size(), 8192);
    store.release(large);
    store.release(third);
    tidy(&mut store);
    store.verify_invariants();
    assert_eq!(store.mapped(), (0, 0));
}

/// Makes a file `pages` pages and `more` bytes long.
fn resize(peer: &OwnedFd, pages: u64, more: u64) {
    let file = File::from(peer.try_clone().unwrap());
    file.set_len(pages * PAGE + more).unwrap();
}

#[test]
fn a_block_grows_with_its_file() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let peer = memfd(4096, SealFlag::empty());
    let mut block = store.adopt(Arc::clone(&peer), true).unwrap();
    resize(&peer, 1, 4095);
    store.refresh(&mut block).unwrap();
    assert_eq!((block.size(), block.offset()), (4096, Some(0)), "no page");
    resize(&peer, 3, 0);
    store.refresh(&mut block).unwrap();
    assert_eq!((block.size(), block.offset()), (12288, Some(4096)));
    // The same again changes nothing, and somebody else finds the mapping made.
    store.refresh(&mut block).unwrap();
    let file = File::from(peer.try_clone().unwrap());
    assert!(file.set_len(4096).is_err(), "it cannot become smaller");
    let other = store.adopt(Arc::clone(&peer), true).unwrap();
    assert_eq!(other.offset(), block.offset());
    assert_eq!(port.take(), [("map", 0, 4096), ("map", 4096, 12288)]);
    store.release(block);
    tidy(&mut store);
    assert_eq!(port.take(), [("unmap", 0, 4096)], "what was before");
    store.release(other);
    tidy(&mut store);
    assert_eq!(store.mapped(), (0, 0));
    store.verify_invariants();
}

#[test]
fn a_file_grows_only_so_often() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let peer = memfd(4096, SealFlag::empty());
    let mut block = store.adopt(Arc::clone(&peer), true).unwrap();
    for growth in 1..=MAX_GROWTHS as u64 {
        resize(&peer, 1 + growth, 0);
        store.refresh(&mut block).unwrap();
    }
    resize(&peer, 100, 0);
    let refused = store.refresh(&mut block);
    assert!(matches!(refused, Err(MemoryError::Growths)), "{refused:?}");
    assert_eq!(block.size(), 9 * 4096);
    // What cannot be mapped changes nothing either.
    let other = memfd(4096, SealFlag::empty());
    let mut block = store.adopt(Arc::clone(&other), true).unwrap();
    let place = block.offset();
    resize(&other, 4096, 0);
    let refused = store.refresh(&mut block);
    assert!(matches!(refused, Err(MemoryError::WindowFull(_))));
    resize(&other, 1 << 21, 0);
    let refused = store.refresh(&mut block);
    assert!(matches!(refused, Err(MemoryError::Size(_))));
    *port.broken.lock().unwrap() = true;
    assert_eq!((block.size(), block.offset()), (4096, place));
    store.verify_invariants();
}

#[test]
fn what_does_not_grow_is_as_it_was() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let mut own = store.allocate(4096).unwrap();
    // A copy, whose original does what it likes.
    let peer = memfd(5000, SealFlag::empty());
    let mut copy = store.adopt(Arc::clone(&peer), true).unwrap();
    port.take();
    for pages in [0, 20] {
        resize(&peer, pages, 0);
        store.refresh(&mut own).unwrap();
        store.refresh(&mut copy).unwrap();
        assert_eq!((own.size(), copy.size()), (4096, 5000));
    }
    assert_eq!(port.take(), []);
}

#[test]
fn what_a_guest_must_not_change_is_copied() {
    let (mut store, _, account) = store(ForeignMemory::Refuse);
    let sealed = memfd(4096, SealFlag::F_SEAL_WRITE);
    let future = memfd(4096, SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE));
    let plain = memfd(4096, SealFlag::empty());
    for (peer, writable) in [(&sealed, true), (&future, true), (&plain, false)] {
        let block = store.adopt(Arc::clone(peer), writable).unwrap();
        assert_ne!(identity(&block.fd), identity(peer));
        assert!(cannot_shrink(&*block.fd));
        let mut seen = [0; 8];
        file(&block).read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(&seen, b"contents");
    }
    assert_eq!(account.used(), 0, "the copies are gone, being dropped");
}

#[test]
fn a_copy_has_the_exact_size_and_a_whole_mapping() {
    let (mut store, port, _) = store(ForeignMemory::Copy);
    let block = store.adopt(memfd(5000, SealFlag::empty()), false).unwrap();
    assert_eq!(block.size(), 5000);
    assert_eq!(port.take(), [("map", 0, 8192)]);
    assert_eq!(size_of_file(&block.fd).unwrap(), 8192);
}

#[test]
fn memory_that_cannot_be_sealed_follows_the_policy() {
    // A file on a disk has no seals; a memfd may forbid more of them.
    let disk = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    disk.set_len(4096).unwrap();
    let disk: Arc<OwnedFd> = Arc::new(disk.into());
    let closed = memfd(4096, SealFlag::F_SEAL_SEAL);
    for peer in [disk, closed] {
        let (mut refusing, port, _) = store(ForeignMemory::Refuse);
        let refused = refusing.adopt(Arc::clone(&peer), true);
        assert!(matches!(refused, Err(MemoryError::Refused)));
        assert!(port.take().is_empty());
        let (mut copying, _, _) = store(ForeignMemory::Copy);
        match copying.adopt(Arc::clone(&peer), true) {
            Ok(block) => assert_ne!(identity(&block.fd), identity(&peer)),
            // The tests may run on a file system that could block.
            Err(MemoryError::FileSystem(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn nonsense_sizes_are_refused() {
    let (mut store, _, account) = store(ForeignMemory::Copy);
    let empty = memfd_create("test", MFdFlags::MFD_CLOEXEC).unwrap();
    assert!(matches!(
        store.adopt(Arc::new(empty), true),
        Err(MemoryError::Size(0))
    ));
    for size in [1 << 40, u64::from(u32::MAX) + 1, MAX_COPY + 1] {
        let huge = memfd(size, SealFlag::empty());
        assert!(store.adopt(huge, false).is_err(), "{size}");
    }
    assert_eq!(account.used(), 0);
    store.verify_invariants();
}

#[test]
fn a_frontend_that_refuses_costs_nothing_and_a_lost_range_is_not_used_again() {
    let (mut store, port, account) = store(ForeignMemory::Copy);
    *port.broken.lock().unwrap() = true;
    assert!(matches!(store.allocate(4096), Err(MemoryError::Io(_))));
    assert_eq!(account.used(), 0);
    *port.broken.lock().unwrap() = false;
    let mut block = store.allocate(4096).unwrap();
    assert_eq!(block.offset(), Some(0));
    block.share();
    *port.broken.lock().unwrap() = true;
    store.release(block);
    *port.broken.lock().unwrap() = false;
    assert_eq!(store.allocate(4096).unwrap().offset(), Some(4096));
}

#[test]
fn a_full_window_is_an_error() {
    let port = Arc::new(Port::default());
    let account = Arc::new(MemoryAccount::new(1 << 30).unwrap());
    let mut store = MemoryStore::new(8192, port, None, account, ForeignMemory::Copy);
    let _held = store.allocate(8192).unwrap();
    assert!(matches!(
        store.allocate(1),
        Err(MemoryError::WindowFull(4096))
    ));
}
