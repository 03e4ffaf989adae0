use super::*;

#[test]
fn test_overdrawn_time_is_paid_back_before_the_next_copy() {
    let mut budget = Budget::default();
    budget.spend(3 * BYTES_PER_FRAME);
    assert!(!budget.has_time());
    budget.refill();
    assert!(!budget.has_time());
    budget.refill();
    assert!(!budget.has_time());
    budget.refill();
    assert!(budget.has_time());
}

#[test]
fn test_unused_time_is_not_saved_up() {
    let mut budget = Budget::default();
    budget.refill();
    budget.refill();
    budget.spend(BYTES_PER_FRAME);
    assert!(!budget.has_time());
}

#[test]
fn test_memory_comes_back_when_dropped() {
    let budget = Budget::default();
    let all = budget.reserve(MEMORY);
    assert!(all.is_some());
    assert!(budget.reserve(1).is_none());
    drop(all);
    assert!(budget.reserve(MEMORY).is_some());
}
