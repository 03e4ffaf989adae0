use super::*;

#[test]
fn results_are_counted() {
    let text =
        "TAP version 13\n1..4\nok 1 - a\nnot ok 2 - b\n# why\nok 3 - c # SKIP no device\nok 4\n";
    let results = Results::parse(text).unwrap();
    assert_eq!(results.passed, 2);
    assert_eq!(results.failed, ["2 - b"]);
    assert_eq!(results.skipped.len(), 1);
}

#[test]
fn a_program_that_stopped_early_is_an_error() {
    assert!(Results::parse("1..2\nok 1\n").is_err());
    assert!(Results::parse("ok 1\n").is_err());
    assert!(Results::parse("1..1\nBail out! no device\n").is_err());
}
