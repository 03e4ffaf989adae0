//! The bookkeeping, and the calls on what is no VFD. Mappings of VFDs are tested by those who have a
//! device.

use std::{fs::File, os::fd::AsRawFd, ptr};

use super::*;

const PAGE: usize = PAGE_SIZE as usize;

fn mapped(pages: usize) -> Mapped {
    Mapped {
        len: pages * PAGE,
        prot: libc::PROT_READ,
        flags: libc::MAP_SHARED,
        fd: Arc::new(File::open("/dev/null").expect("a file").into()),
        offset: 0,
    }
}

/// First page, pages, and page of the file of every mapping, told by asking for each.
fn contents(ranges: &Ranges) -> Vec<(usize, usize, usize)> {
    let mut all = Vec::new();
    for start in 0..32 {
        for pages in 1..32 {
            if let Some(mapped) = ranges.get(start * PAGE, pages * PAGE) {
                let offset = usize::try_from(mapped.offset).expect("positive") / PAGE;
                all.push((start, pages, offset));
            }
        }
    }
    all
}

fn remove(ranges: &mut Ranges, start: usize, pages: usize) {
    ranges.remove(start * PAGE, pages * PAGE);
}

#[test]
fn parts_are_forgotten() {
    let mut ranges = Ranges::new();
    ranges.insert(4 * PAGE, mapped(6));
    ranges.insert(10 * PAGE, mapped(2));
    remove(&mut ranges, 0, 4);
    remove(&mut ranges, 12, 4);
    assert_eq!(contents(&ranges), [(4, 6, 0), (10, 2, 0)]);
    remove(&mut ranges, 6, 1);
    assert_eq!(contents(&ranges), [(4, 2, 0), (7, 3, 3), (10, 2, 0)]);
    remove(&mut ranges, 9, 2);
    assert_eq!(contents(&ranges), [(4, 2, 0), (7, 2, 3), (11, 1, 1)]);
    remove(&mut ranges, 0, 30);
    assert_eq!(contents(&ranges), []);
}

#[test]
fn what_is_mapped_over_is_forgotten() {
    let mut ranges = Ranges::new();
    ranges.insert(4 * PAGE, mapped(6));
    ranges.insert(6 * PAGE, mapped(1));
    assert_eq!(contents(&ranges), [(4, 2, 0), (6, 1, 0), (7, 3, 3)]);
}

#[test]
fn what_the_kernel_moves_is_followed() {
    let mut ranges = Ranges::new();
    ranges.insert(4 * PAGE, mapped(6));
    ranges.moved(4 * PAGE, 6 * PAGE, 20 * PAGE, 3 * PAGE);
    assert_eq!(contents(&ranges), [(20, 3, 0)]);
    ranges.moved(20 * PAGE, 3 * PAGE, 20 * PAGE, 8 * PAGE);
    assert_eq!(contents(&ranges), [(20, 8, 0)]);
}

#[test]
fn what_is_no_vfd_is_mapped_as_ever() {
    let file = tempfile();
    let (read_write, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let fd = file.as_raw_fd();
    // SAFETY: the kernel chooses the place, which nobody else knows of.
    unsafe {
        let first = mmap(ptr::null_mut(), PAGE, read_write, shared, fd, 0).expect("mapped");
        first.cast::<u8>().write(7);
        let maymove = libc::MREMAP_MAYMOVE;
        let grown = mremap(first, PAGE, 2 * PAGE, maymove, ptr::null_mut()).expect("grown");
        assert_eq!(grown.cast::<u8>().read(), 7);
        munmap(grown, 2 * PAGE).expect("unmapped");
        let error = munmap(grown, 0).expect_err("nothing");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}

#[test]
fn closed_and_anonymous() {
    let (prot, anonymous) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: as above.
    unsafe {
        let error = mmap(ptr::null_mut(), PAGE, prot, libc::MAP_SHARED, -1, 0).expect_err("closed");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let place = mmap(ptr::null_mut(), PAGE, prot, anonymous, -1, 0).expect("mapped");
        munmap(place, PAGE).expect("unmapped");
    }
}

fn tempfile() -> File {
    let fd = nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    let file = File::from(fd.expect("a memfd"));
    file.set_len(2 * PAGE_SIZE).expect("its size");
    file
}
