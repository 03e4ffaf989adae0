use std::cell::Cell;
use std::io::Write;

use super::*;

fn memory(bytes: &[u8]) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.into()
}

fn is_shared(outgoing: &[Outgoing<'_>]) -> bool {
    matches!(outgoing, [Outgoing::Shared(_)])
}

#[test]
fn test_fresh_copies_are_used_up_by_sends_that_succeed_only() {
    let keymaps = Keymaps::default();
    let keymap = memory(b"keymap");
    let refuse = |_: &[u8]| Err(io::Error::other("nothing may be allocated yet"));
    for _ in 0..FRESH {
        // Tried twice, as after EAGAIN.
        keymaps.prepare(&[keymap.as_fd()], refuse).unwrap();
        let (outgoing, fresh) = keymaps.prepare(&[keymap.as_fd()], refuse).unwrap();
        assert!(!is_shared(&outgoing));
        keymaps.sent(fresh);
    }
    let (outgoing, fresh) = keymaps
        .prepare(&[keymap.as_fd()], |bytes| Ok(memory(bytes)))
        .unwrap();
    assert!(is_shared(&outgoing));
    assert_eq!(fresh, 0);
}

#[test]
fn test_one_copy_serves_all_that_follow() {
    let keymaps = Keymaps::default();
    keymaps.sent(FRESH);
    let allocations = Cell::new(0);
    for _ in 0..10 {
        let keymap = memory(b"keymap");
        let (outgoing, _) = keymaps
            .prepare(&[keymap.as_fd()], |bytes| {
                allocations.set(allocations.get() + 1);
                Ok(memory(bytes))
            })
            .unwrap();
        assert_eq!(contents(outgoing[0].as_fd()).unwrap(), b"keymap");
    }
    assert_eq!(allocations.get(), 1);
}

#[test]
fn test_pipes_go_as_they_are() {
    let keymaps = Keymaps::default();
    keymaps.sent(FRESH);
    let (_reader, writer) = io::pipe().unwrap();
    let refuse = |_: &[u8]| Err(io::Error::other("a pipe is no keymap"));
    let (outgoing, fresh) = keymaps.prepare(&[writer.as_fd()], refuse).unwrap();
    assert!(!is_shared(&outgoing));
    assert_eq!(fresh, 0);
}
