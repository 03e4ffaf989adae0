//! Many failures, and recovery.

use std::time::Duration;

use super::{Backoff, GOOD, LONGEST, SHORTEST};

#[test]
fn doubles_up_to_a_bound() {
    let mut backoff = Backoff::default();
    let mut waits = (0..100).map(|_| backoff.next(Duration::ZERO));
    assert_eq!(waits.next(), Some(SHORTEST));
    assert_eq!(waits.next(), Some(SHORTEST * 2));
    assert_eq!(waits.next(), Some(SHORTEST * 4));
    assert_eq!(waits.last(), Some(LONGEST));
    assert_eq!(backoff.next(GOOD), SHORTEST);
}
