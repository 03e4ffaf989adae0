use super::*;

#[test]
fn a_burst_of_one_second_then_the_rate() {
    let start = Instant::now();
    let mut bucket = Bucket::new(10, start);
    for _ in 0..10 {
        assert_eq!(bucket.take(start), Ok(()));
    }
    assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
    let later = start + Duration::from_millis(100);
    assert_eq!(bucket.take(later), Ok(()));
    assert_eq!(bucket.take(later), Err(Duration::from_millis(100)));
}

#[test]
fn idle_time_saves_no_more_than_one_burst() {
    let start = Instant::now();
    let mut bucket = Bucket::new(3, start);
    let later = start + Duration::from_secs(3600);
    let taken = (0..10).filter(|_| bucket.take(later).is_ok()).count();
    assert_eq!(taken, 3);
}

#[test]
fn the_wait_is_exactly_enough() {
    let start = Instant::now();
    let mut bucket = Bucket::new(7, start);
    let mut now = start;
    for _ in 0..1000 {
        if let Err(wait) = bucket.take(now) {
            assert!(wait <= Duration::from_secs(1) / 7);
            now += wait;
            assert_eq!(bucket.take(now), Ok(()));
        }
    }
}

#[test]
fn one_and_zero_per_second() {
    for rate in [0, 1] {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(SECOND));
    }
}
