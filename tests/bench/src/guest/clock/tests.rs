use super::*;

#[test]
fn both_kinds_of_sleep_are_found() {
    let text = b"  .idle_entrytime : 40000001 nsecs
  .idle_sleeptime : 12345678 nsecs
  .iowait_sleeptime: 1000002 nsecs
";
    assert_eq!(slept(text), Some(13_345_680));
    assert_eq!(slept(&text[..70]), None, "the second is not there yet");
}

#[test]
fn what_was_timed_is_told_once() {
    let mut clock = Clock::new(false).unwrap();
    for _ in 0..3 {
        clock.time("a", || Ok(())).unwrap();
        clock.time("b", || Ok(())).unwrap();
    }
    let parts = clock.parts().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(parts.iter().all(|part| part.busy.is_none()));
    assert!(clock.parts().unwrap().is_empty());
}

#[test]
fn extremes_and_median() {
    let spread = Spread::of([4, 1, 3, 2].into_iter()).unwrap();
    assert_eq!((spread.min, spread.p50, spread.max), (1, 2, 4));
}
