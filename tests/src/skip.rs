//! A test that cannot run here says why, and is counted: `cargo xtask test` reads these lines.
#![allow(clippy::print_stdout, reason = "the line is the test's result")]

use crate::bin;

/// What starts the line of a skipped test.
pub const MARK: &str = "SKIPPED ";

/// Prints the line of a skipped test.
pub fn skip(test: &str, reason: &str) {
    println!("{MARK}{test}: {reason}");
}

/// Whether all `programs` are in `$PATH`; prints the skip of `test` when not.
pub fn has_programs(test: &str, programs: &[&str]) -> bool {
    for program in programs {
        if bin::in_path(program).is_none() {
            skip(
                test,
                &format!("{program} is not installed (cargo xtask install-deps)"),
            );
            return false;
        }
    }
    true
}
