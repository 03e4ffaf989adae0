use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};

use super::*;

fn pair() -> (OwnedFd, Handover) {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    (a, Handover(b))
}

fn send(to: &OwnedFd, text: &[u8], descriptors: usize) {
    let null = std::fs::File::open("/dev/null").unwrap();
    let fds = vec![null.as_raw_fd(); descriptors];
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if descriptors == 0 { &[][..] } else { &rights };
    let bytes = [IoSlice::new(text)];
    let sent = sendmsg::<()>(to.as_raw_fd(), &bytes, control, MsgFlags::empty(), None);
    assert_eq!(sent, Ok(text.len()));
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn devices_come_with_their_names_and_then_it_is_settled() {
    let (manager, handover) = pair();
    send(&manager, b"drm card0", 1);
    send(&manager, b"input event12", 1);
    send(&manager, b"settled", 0);
    assert!(matches!(handover.wait(soon()), Ok(Message::Card(name, _)) if name == "card0"));
    assert!(matches!(handover.wait(soon()), Ok(Message::Input(name, _)) if name == "event12"));
    assert!(matches!(handover.wait(soon()), Ok(Message::Settled)));
    let nothing = handover.receive().unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn nonsense_is_an_error_and_takes_one_message_only() {
    let nonsense: [(&[u8], usize); 11] = [
        (b"settled", 1),
        (b"settled now", 0),
        (b"drm card0", 0),
        (b"input event0", 0),
        (b"drm event0", 1),
        (b"input card0", 1),
        (b"input event", 1),
        (b"input event-1", 1),
        (b"input ../event1", 1),
        (b"\xff\xfe", 0),
        (&[b'x'; 2 * MAX_MESSAGE], 1),
    ];
    for (text, descriptors) in nonsense {
        let (manager, handover) = pair();
        send(&manager, text, descriptors);
        send(&manager, b"settled", 0);
        let error = handover.receive().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
        assert!(matches!(handover.receive(), Ok(Message::Settled)));
    }
}

#[test]
fn the_end_of_the_manager_is_noticed() {
    let (manager, handover) = pair();
    drop(manager);
    let error = handover.wait(soon()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn waiting_ends() {
    let (_manager, handover) = pair();
    let error = handover.wait(Instant::now()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
