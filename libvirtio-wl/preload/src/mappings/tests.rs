use std::os::fd::AsFd;

use memfd::MemfdOptions;

use super::*;

/// First page, pages, offset in pages.
type Range = (usize, usize, off64_t);

/// What cannot grow in a kernel's driver is a memfd here: the table does not look at it.
const PAGE: usize = super::PAGE as usize;

fn mapped(start: usize, pages: usize, memory: &Arc<OwnedFd>) -> Mapped {
    Mapped {
        start,
        len: pages * PAGE,
        prot: libc::PROT_READ | libc::PROT_WRITE,
        flags: libc::MAP_SHARED,
        offset: 0,
        memory: Arc::clone(memory),
    }
}

fn memory(pages: usize) -> Arc<OwnedFd> {
    let file = MemfdOptions::default().create("test").unwrap().into_file();
    file.set_len((pages * PAGE) as u64).unwrap();
    Arc::new(file.into())
}

fn ranges(table: &Table) -> Vec<Range> {
    let page = |bytes| bytes / PAGE;
    let mut ranges: Vec<_> = table
        .mapped
        .iter()
        .map(|one| (page(one.start), page(one.len), one.offset / PAGE as off64_t))
        .collect();
    ranges.sort_unstable();
    ranges
}

#[test]
fn what_is_unmapped_is_forgotten_to_the_page() {
    let memory = memory(1);
    let cases: [(usize, usize, &[Range]); 7] = [
        (10, 4, &[]),
        (9, 6, &[]),
        (0, 10, &[(10, 4, 0)]),
        (14, 1, &[(10, 4, 0)]),
        (8, 3, &[(11, 3, 1)]),
        (13, 9, &[(10, 3, 0)]),
        (11, 1, &[(10, 1, 0), (12, 2, 2)]),
    ];
    for (start, pages, left) in cases {
        let mut table = Table::default();
        table.insert(mapped(10 * PAGE, 4, &memory));
        table.remove(start * PAGE, pages * PAGE);
        assert_eq!(ranges(&table), left, "unmapped {pages} pages from {start}");
    }
}

#[test]
fn what_the_kernel_moves_is_known_at_its_new_place() {
    let memory = memory(1);
    let mut table = Table::default();
    table.insert(mapped(10 * PAGE, 4, &memory));
    table.insert(mapped(30 * PAGE, 4, &memory));
    table.moved((10 * PAGE, 4 * PAGE), (10 * PAGE, 2 * PAGE));
    assert_eq!(ranges(&table), [(10, 2, 0), (30, 4, 0)]);
    table.moved((10 * PAGE, 2 * PAGE), (20 * PAGE, 2 * PAGE));
    assert_eq!(ranges(&table), [(20, 2, 0), (30, 4, 0)]);
    // Something else lands on what was known.
    table.moved((99 * PAGE, PAGE), (31 * PAGE, PAGE));
    assert_eq!(ranges(&table), [(20, 2, 0), (30, 1, 0), (32, 2, 2)]);
}

#[test]
fn a_mapping_grows_elsewhere_and_shows_the_same_memory() {
    let memory = memory(4);
    let mut table = Table::default();
    let first = mapped(0, 1, &memory);
    let old = first.map(PAGE).unwrap();
    let start = old.expose_provenance();
    table.insert(Mapped { start, ..first });
    // SAFETY: just mapped, and nobody else knows of it.
    unsafe { old.cast::<u8>().write(7) };

    let new = table.grow(start, PAGE, 3 * PAGE).unwrap();
    // SAFETY: three pages are mapped there.
    unsafe {
        assert_eq!(new.cast::<u8>().read(), 7);
        new.cast::<u8>().add(3 * PAGE - 1).write(8);
    }
    assert_eq!(ranges(&table), [(new.addr() / PAGE, 3, 0)]);
    let mut byte = [0];
    nix::sys::uio::pread(memory.as_fd(), &mut byte, (3 * PAGE - 1) as off64_t).unwrap();
    assert_eq!(byte, [8]);
    // SAFETY: nothing refers to it any more.
    unsafe { real::munmap(new, 3 * PAGE) };
}

#[test]
fn nothing_grows_beyond_its_memory() {
    let memory = memory(2);
    let mut table = Table::default();
    table.insert(mapped(10 * PAGE, 1, &memory));
    assert!(table.may_grow(10 * PAGE, PAGE + 1));
    assert!(table.may_grow(10 * PAGE, 2 * PAGE));
    assert!(!table.may_grow(10 * PAGE, 2 * PAGE + 1));
    // Its owner makes it longer.
    nix::unistd::ftruncate(&*memory, (2 * PAGE + 1) as off64_t).unwrap();
    assert!(table.may_grow(10 * PAGE, 3 * PAGE));
    // Of others nothing is known.
    assert!(table.may_grow(11 * PAGE, 99 * PAGE));
}

#[test]
fn what_is_not_known_does_not_grow() {
    let memory = memory(1);
    let mut table = Table::default();
    assert!(table.grow(10 * PAGE, PAGE, 2 * PAGE).is_none());
    table.insert(mapped(10 * PAGE, 1, &memory));
    assert!(table.grow(10 * PAGE, 2 * PAGE, 3 * PAGE).is_none());
    assert_eq!(ranges(&table), [(10, 1, 0)]);
}
