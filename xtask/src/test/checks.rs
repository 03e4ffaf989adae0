//! Checks of the text: formatting, lints, documentation, licences.

use std::process::Command;

use anyhow::{Context as _, Result};
use integration_tests::bin;

use super::report::Report;
use super::units;
use crate::cargo::cargo;

pub(super) fn run(report: &mut Report) -> Result<()> {
    println!("checks");
    let mut fmt = cargo();
    fmt.args(["fmt", "--all", "--check"]);
    report.check("rustfmt", fmt)?;

    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    report.check("clippy", clippy)?;

    let mut doc = cargo();
    doc.args([
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    // Private items are documented too, so public ones may point at them.
    doc.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    );
    report.check("rustdoc", doc)?;

    units::check(report)?;

    let mut header = Command::new(std::env::current_exe().context("our own path")?);
    header.args(["header", "--check"]);
    report.check("C header", header)?;

    if bin::in_path("cargo-deny").is_some() {
        let mut deny = cargo();
        deny.args(["deny", "--offline", "check", "licenses", "bans", "sources"]);
        report.check("cargo deny", deny)?;
    } else {
        report.skip("cargo deny: cargo-deny is not installed (cargo install cargo-deny)");
    }
    Ok(())
}
