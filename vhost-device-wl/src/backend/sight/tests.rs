use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

use super::*;
use crate::core::memory::create_sealed;

/// A file; it must live as long as its piece, or another could get its number.
fn piece() -> (OwnedFd, Piece) {
    let fd = create_sealed(4096).unwrap();
    let piece = Piece::new(&fstat(&fd).unwrap(), 4096);
    (fd, piece)
}

/// What a frontend tells of that is known to tell.
fn telling() -> (Sight, (OwnedFd, Piece)) {
    let sight = Sight::new().unwrap();
    let probe = piece();
    sight.mapped(0, probe.1);
    assert!(!sight.table([probe.1].into()));
    sight.unmapped(0);
    sight.found_out();
    (sight, probe)
}

#[test]
fn a_frontend_that_tells_nothing_is_not_waited_for() {
    let sight = Sight::new().unwrap();
    let (_file, probe) = piece();
    assert!(sight.is_unknown());
    sight.mapped(0, probe);
    sight.table(HashSet::new());
    sight.unmapped(0);
    sight.found_out();
    assert!(!sight.is_unknown());
    sight.mapped(0, probe);
    assert!(sight.is_visible(0));
}

#[test]
fn a_frontend_that_tells_is_waited_for() {
    let (sight, _probe) = telling();
    let ((_a, a), (_b, b)) = (piece(), piece());
    sight.mapped(0, a);
    sight.mapped(4096, b);
    assert!(!sight.is_visible(0) && !sight.is_visible(4096));
    assert!(!sight.table(HashSet::new()), "nobody was waiting for this");
    assert!(sight.table([b].into()));
    assert!(!sight.is_visible(0) && sight.is_visible(4096));
    assert!(sight.table([a, b].into()));
    assert!(sight.is_visible(0));
}

#[test]
fn a_table_may_come_before_the_answer_is_read() {
    let sight = Sight::new().unwrap();
    let ((_a, a), (_b, b)) = (piece(), piece());
    sight.table([a].into());
    sight.mapped(0, a);
    sight.unmapped(0);
    sight.found_out();
    sight.table([b].into());
    sight.mapped(0, b);
    assert!(sight.is_visible(0));
    sight.mapped(0, a);
    assert!(!sight.is_visible(0), "it was found out that it tells");
}

#[test]
fn what_is_unmapped_is_not_waited_for() {
    let (sight, _probe) = telling();
    let (_file, a) = piece();
    sight.mapped(0, a);
    sight.unmapped(0);
    assert!(sight.is_visible(0));
    assert!(!sight.table([a].into()));
}

#[test]
fn a_table_that_does_not_come_is_given_up_until_one_comes() {
    let sight = Sight::with_patience(Duration::ZERO).unwrap();
    let ((_a, a), (_b, b)) = (piece(), piece());
    sight.table([a].into());
    sight.mapped(0, a);
    sight.mapped(4096, b);
    assert!(!sight.is_visible(4096));
    let readable = |timeout: PollTimeout| {
        sight.with_timer(|timer| {
            let mut fds = [PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, timeout).unwrap()
        })
    };
    assert_eq!(readable(PollTimeout::from(20_000_u16)), 1);
    sight.expire();
    assert!(sight.is_visible(4096));
    assert_eq!(readable(PollTimeout::ZERO), 0, "the timer is quiet again");
    // It tells after all.
    sight.table([a, b].into());
    let (_c, c) = piece();
    sight.mapped(8192, c);
    assert!(!sight.is_visible(8192));
}

#[test]
fn a_table_holds_only_so_many() {
    let (sight, _probe) = telling();
    let (_file, a) = piece();
    for n in 0..MAX_TOLD as u64 {
        assert!(!sight.is_full());
        sight.mapped(n * 4096, a);
    }
    assert!(sight.is_full());
    sight.unmapped(0);
    assert!(!sight.is_full());
}
