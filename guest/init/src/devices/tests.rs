//! Which nodes, and what arrives with them.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::iter;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

use nix::unistd::close;
use tempfile::TempDir;

use super::{Handover, are_power_keys, message_for};

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
fn power_buttons_by_their_keys() {
    // Of Linux 6.1 and 6.12.
    for button in ["10000000000000 0\n", "8000 10000000000000 0\n"] {
        assert!(are_power_keys(button), "{button}");
    }
    let keyboard = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe";
    for other in [
        keyboard,
        "8000 0 0",
        "30000000000000 0",
        "10000000000000",
        "1 8000 10000000000000 0",
        "0",
        "",
        "x",
    ] {
        assert!(!are_power_keys(other), "{other}");
    }
}

/// A handover of nodes that are files, and the end of the one that takes them.
struct Scene {
    handover: Handover,
    theirs: OwnedFd,
    dev: TempDir,
}

impl Scene {
    fn new(nodes: &[&str]) -> Self {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        )
        .expect("sockets");
        let dev = tempfile::tempdir().expect("a directory");
        let handover = Handover::from_directory(ours, dev.path().to_owned());
        let scene = Self {
            handover,
            theirs,
            dev,
        };
        nodes.iter().for_each(|node| scene.plug(node));
        scene
    }

    fn plug(&self, node: &str) {
        let path = self.dev.path().join(node);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, "").expect("a node");
    }

    fn unplug(&self, node: &str) {
        fs::remove_file(self.dev.path().join(node)).expect("a node");
    }

    /// What has been said, and whether a device came with it.
    fn said(&self) -> Vec<(String, bool)> {
        iter::from_fn(|| {
            let mut bytes = [0; 64];
            let mut buffers = [IoSliceMut::new(&mut bytes)];
            let mut space = cmsg_space!([RawFd; 4]);
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(
                self.theirs.as_raw_fd(),
                &mut buffers,
                Some(&mut space),
                flags,
            );
            let message = match message {
                Err(Errno::EAGAIN) => return None,
                message => message.expect("received"),
            };
            let mut fds = Vec::new();
            for control in message.cmsgs().expect("control") {
                if let ControlMessageOwned::ScmRights(some) = control {
                    fds.extend(some);
                }
            }
            assert!(fds.len() <= 1, "one device a message");
            for &fd in &fds {
                close(fd).expect("closed");
            }
            let count = message.bytes;
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            Some((text, !fds.is_empty()))
        })
        .collect()
    }

    fn words(&self) -> Vec<String> {
        self.said().into_iter().map(|(text, _)| text).collect()
    }
}

#[test]
fn one_message_each() {
    let mut scene = Scene::new(&["input/event3", "input/mice", "dri/card0", "dri/renderD128"]);
    scene.handover.offer_all();
    scene.handover.settled();
    let expected = [
        ("drm card0", true),
        ("input event3", true),
        ("settled", false),
    ];
    assert_eq!(
        scene.said(),
        expected.map(|(text, with)| (text.to_owned(), with))
    );
}

#[test]
fn late_news_of_what_was_there_hand_nothing_over_again() {
    let mut scene = Scene::new(&["dri/card0", "input/event0"]);
    scene.handover.offer_all();
    assert_eq!(scene.words(), ["drm card0", "input event0"]);
    scene.handover.offer("input/event0");
    scene.handover.offer("dri/card0");
    scene.handover.offer_all();
    assert!(scene.words().is_empty());
}

#[test]
fn a_device_plugged_again_is_handed_over_again() {
    let mut scene = Scene::new(&["input/event0"]);
    scene.handover.offer_all();
    assert_eq!(scene.words(), ["input event0"]);
    // As a compositor does, until it has seen that the device is gone.
    let held = File::open(scene.dev.path().join("input/event0")).expect("a node");
    scene.unplug("input/event0");
    scene.handover.offer("input/event0");
    assert!(scene.words().is_empty());
    scene.plug("input/event0");
    scene.handover.offer("input/event0");
    scene.handover.offer("input/event0");
    assert_eq!(scene.words(), ["input event0"]);
    drop(held);
}

#[test]
fn what_could_not_be_handed_over_is_tried_again() {
    let mut scene = Scene::new(&["input/event0"]);
    while scene.handover.send("settled", None).is_ok() {}
    scene.handover.offer("input/event0");
    assert!(scene.words().iter().all(|text| text == "settled"));
    scene.handover.offer("input/event0");
    assert_eq!(scene.words(), ["input event0"]);
}
