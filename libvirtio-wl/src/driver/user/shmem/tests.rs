use memfd::MemfdOptions;

use super::*;
use crate::driver::user::{
    mock::{MockDevice, map_request},
    token::FileId,
};
use crate::wire::Features;

fn file() -> OwnedFd {
    let memfd = MemfdOptions::default().create("test").unwrap();
    memfd.as_file().set_len(8192).unwrap();
    OwnedFd::from(memfd.into_file())
}

/// A device and its channel.
fn pair() -> (MockDevice, RequestChannel) {
    let (device, session) = MockDevice::new(Features::USE_SHMEM);
    (device, session.requests)
}

/// Has one request served, and returns its answer.
fn serve(
    device: &mut MockDevice,
    channel: &mut RequestChannel,
    mappings: &mut Mappings,
    bytes: &[u8],
    file: Option<BorrowedFd<'_>>,
) -> i64 {
    device.request(bytes, file);
    assert_eq!(channel.serve(mappings).unwrap(), 1);
    device.answered()
}

#[test]
fn a_mapped_file_is_found_by_its_offset() {
    let (mut device, mut channel) = pair();
    let mut mappings = Mappings::default();
    let file = file();
    let map = map_request(SHMEM_MAP, 0x3000, 8192);
    let fd = Some(file.as_fd());
    assert_eq!(serve(&mut device, &mut channel, &mut mappings, &map, fd), 0);
    let mapped = mappings.file(0x3000, 8192).unwrap();
    assert_eq!(FileId::of(&mapped).unwrap(), FileId::of(&file).unwrap());
    assert!(mappings.file(0x3000, 8193).is_none(), "longer than mapped");
    assert!(mappings.file(0x4000, 1).is_none(), "not its start");

    let unmap = map_request(SHMEM_UNMAP, 0x3000, 8192);
    assert_eq!(
        serve(&mut device, &mut channel, &mut mappings, &unmap, None),
        0
    );
    assert!(mappings.file(0x3000, 1).is_none());
}

#[test]
fn bad_requests_are_refused_and_the_next_is_served() {
    let (mut device, mut channel) = pair();
    let mut mappings = Mappings::default();
    let file = file();
    let fd = Some(file.as_fd());
    let mut ask = |bytes: &[u8], file| serve(&mut device, &mut channel, &mut mappings, bytes, file);
    let errno = |errno: Errno| -i64::from(errno as i32);

    assert_eq!(ask(&map_request(SHMEM_MAP, 0x2000, 0x2000), fd), 0);
    for offset in [0x1000, 0x2000, 0x3000] {
        let overlap = map_request(SHMEM_MAP, offset, 0x2000);
        assert_eq!(ask(&overlap, fd), errno(Errno::EEXIST));
    }
    for (offset, len) in [
        (0x10, 0x1000),
        (0x4000, 0x10),
        (0x4000, 0),
        (SHMEM_REGION_SIZE, 0x1000),
        (u64::MAX - 0xfff, 0x1000),
        (0x1000, u64::MAX - 0xfff),
    ] {
        let outside = map_request(SHMEM_MAP, offset, len);
        assert_eq!(
            ask(&outside, fd),
            errno(Errno::EINVAL),
            "{offset:#x}+{len:#x}"
        );
    }
    let no_file = map_request(SHMEM_MAP, 0x8000, 0x1000);
    assert_eq!(ask(&no_file, None), errno(Errno::EBADF));
    let mut other_region = map_request(SHMEM_MAP, 0x8000, 0x1000);
    other_region[HEADER_SIZE] = 1;
    assert_eq!(ask(&other_region, fd), errno(Errno::EINVAL));
    let mut later_start = map_request(SHMEM_MAP, 0x8000, 0x1000);
    later_start[HEADER_SIZE + 9] = 0x10;
    assert_eq!(ask(&later_start, fd), errno(Errno::EINVAL));
    let unknown = map_request(99, 0, 0x1000);
    assert_eq!(ask(&unknown, None), errno(Errno::EOPNOTSUPP));
    let part = map_request(SHMEM_UNMAP, 0x2000, 0x1000);
    assert_eq!(ask(&part, None), errno(Errno::EINVAL));
    let nothing = map_request(SHMEM_UNMAP, 0x9000, 0x1000);
    assert_eq!(ask(&nothing, None), errno(Errno::ENOENT));
    assert_eq!(ask(&map_request(SHMEM_MAP, 0x4000, 0x1000), fd), 0);
}

#[test]
fn a_request_may_arrive_in_pieces() {
    let (mut device, mut channel) = pair();
    let mut mappings = Mappings::default();
    let file = file();
    let map = map_request(SHMEM_MAP, 0, 4096);
    device.request(&map[..5], Some(file.as_fd()));
    assert_eq!(channel.serve(&mut mappings).unwrap(), 0);
    device.write_more(&map[5..30]);
    assert_eq!(channel.serve(&mut mappings).unwrap(), 0);
    device.write_more(&map[30..]);
    assert_eq!(channel.serve(&mut mappings).unwrap(), 1);
    assert_eq!(device.answered(), 0);
    assert!(mappings.file(0, 4096).is_some());
}

#[test]
fn what_is_no_request_ends_the_channel() {
    let mut reply = map_request(SHMEM_MAP, 0, 4096);
    reply[4] |= REPLY as u8;
    let mut version = map_request(SHMEM_MAP, 0, 4096);
    version[4] = 2;
    let mut long = map_request(SHMEM_MAP, 0, 4096);
    long[8..12].copy_from_slice(&5000_u32.to_ne_bytes());
    for bytes in [reply, version, long] {
        let (mut device, mut channel) = pair();
        device.request(&bytes, None);
        let error = channel.serve(&mut Mappings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    let (device, mut channel) = pair();
    drop(device);
    let error = channel.serve(&mut Mappings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}
