use super::*;

const INITIAL: usize = INITIAL_CREDIT as usize;

#[test]
fn the_last_message_may_overshoot() {
    let mut credit = Credit::default();
    credit.spend(1, INITIAL - 1, 0);
    assert!(credit.may_send(1));
    credit.spend(1, 100, 28);
    assert!(!credit.may_send(1));
    assert!(credit.may_send(2));
    let debt = 99 + 28 * CREDIT_PER_VFD;
    assert!(!credit.grant(1, debt), "the balance is 0, not positive");
    assert!(credit.grant(1, 1));
    assert!(credit.may_send(1));
}

#[test]
fn only_a_waiting_vfd_is_reported_and_only_once() {
    let mut credit = Credit::default();
    credit.spend(1, INITIAL, 0);
    assert!(!credit.grant(1, 5));
    credit.spend(1, 5, 0);
    assert!(!credit.may_send(1));
    assert!(credit.is_dry(1));
    assert!(credit.grant(1, 5));
    assert!(!credit.grant(1, 5));
}

#[test]
fn savings_are_bounded_and_a_reused_id_starts_anew() {
    let mut credit = Credit::default();
    for _ in 0..100 {
        credit.grant(1, u32::MAX);
    }
    credit.spend(1, 2 * INITIAL, 0);
    assert!(!credit.may_send(1));
    credit.forget(1);
    assert!(!credit.is_dry(1));
    assert!(credit.may_send(1));
}
