//! Which nodes, and what arrives with them.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

use super::{Handover, message_for};

#[test]
fn nodes() {
    assert_eq!(message_for("dri/card0").as_deref(), Some("drm card0"));
    assert_eq!(
        message_for("input/event12").as_deref(),
        Some("input event12")
    );
    for other in [
        "dri/renderD128",
        "dri/card",
        "input/mice",
        "input/event1x",
        "input",
        "vda",
        "input/../x",
    ] {
        assert_eq!(message_for(other), None, "{other}");
    }
}

#[test]
fn one_message_each() {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .expect("sockets");
    let handover = Handover::new(ours);
    handover.send(
        "input event3",
        Some(std::fs::File::open("/dev/null").expect("a file").into()),
    );
    handover.send("settled", None);
    for (text, with) in [("input event3", 1), ("settled", 0)] {
        let mut bytes = [0; 64];
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let mut space = cmsg_space!([std::os::fd::RawFd; 4]);
        let message = recvmsg::<()>(
            theirs.as_raw_fd(),
            &mut buffers,
            Some(&mut space),
            MsgFlags::empty(),
        )
        .expect("received");
        let fds: usize = message
            .cmsgs()
            .expect("control")
            .map(|control| match control {
                ControlMessageOwned::ScmRights(fds) => fds.len(),
                _ => 0,
            })
            .sum();
        let count = message.bytes;
        assert_eq!((&bytes[..count], fds), (text.as_bytes(), with));
    }
}
