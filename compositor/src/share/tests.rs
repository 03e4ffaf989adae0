use super::*;

#[test]
fn test_burst_within_a_frame_costs_no_wait() {
    let mut share = Share::default();
    assert_eq!(share.charge(BURST, Instant::now()), None);
}

#[test]
fn test_more_than_a_burst_waits_for_what_is_over() {
    let mut share = Share::default();
    let now = Instant::now();
    let over = Duration::from_millis(3);
    assert_eq!(share.charge(BURST + over, now), Some(now + over * COST));
}

#[test]
fn test_half_of_the_time_can_be_used_for_ever() {
    let mut share = Share::default();
    let mut now = Instant::now();
    for _ in 0..1000 {
        now += Duration::from_millis(10);
        assert_eq!(share.charge(Duration::from_millis(5), now), None);
    }
}

#[test]
fn test_after_the_wait_the_next_burst_is_not_free() {
    let mut share = Share::default();
    let now = Instant::now();
    let until = share.charge(BURST * 2, now).unwrap();
    let again = share.charge(Duration::from_millis(1), until);
    assert_eq!(again, Some(until + Duration::from_millis(1) * COST));
}
