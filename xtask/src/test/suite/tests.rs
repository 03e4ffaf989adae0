use super::*;

#[test]
fn counts_what_libtest_prints() {
    let mut counts = Counts::default();
    for line in [
        "     Running tests/pixels.rs (target/debug/deps/pixels-0123456789abcdef)",
        "test foot_is_equal ... ok",
        "test clipboard ... ok",
        "test slow ... ignored, takes an hour",
        "test broken ... FAILED",
        "SKIPPED clipboard: wl-copy is not installed",
        "failures:",
        "    broken",
        "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out",
        "   Doc-tests virtio_wl",
    ] {
        counts.see(line);
    }
    assert_eq!(counts.failed, ["pixels: broken"]);
    assert_eq!(
        counts.skipped,
        [
            "pixels: slow: takes an hour",
            "clipboard: wl-copy is not installed"
        ]
    );
    // One of the two passed ones has skipped itself.
    assert_eq!(counts.passed.saturating_sub(counts.skipped.len()), 1);
    assert_eq!(counts.suite, "virtio_wl");
    assert_eq!(counts.failures, ["failures:", "    broken"]);
}
