//! What several tests in VMs share. The tests are in `tests/ring/`, one file for each subject; the
//! harness is [`integration_tests::vm`].
//!
//! | module | what |
//! |---|---|
//! | [`tap`] | results of a test program in a guest |
//! | [`selftest`] | the self-test of the driver, in a guest |
//! | [`scene`] | text, terminals and windows that the tests show |
//! | [`foreign`] | the same with compositors that are not ours |
//!
//! `cargo xtask test --ring vm` builds the images first. A test that takes long is marked
//! `#[ignore = "full set: cargo xtask test --ring vm --all"]`.

pub mod foreign;
pub mod scene;
pub mod selftest;
pub mod tap;
