//! The fuzz targets: built, then run for a bounded time each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use integration_tests::bin;

use super::report::Report;
use crate::cargo;

/// An input that takes longer than this (seconds) is a finding; the slowest known takes
/// milliseconds.
const INPUT_TIMEOUT: u32 = 10;
/// Memory that one input may take, in MiB: far above any limit of the code under test.
const MEMORY_LIMIT: u32 = 1024;

pub(super) fn run(report: &mut Report, seconds: u32) -> Result<()> {
    println!("fuzz targets, {seconds} s each");
    let Some(cargo_fuzz) = find_or_install(report)? else {
        return Ok(());
    };
    let mut build = fuzz(&cargo_fuzz, "build");
    build.arg("--release");
    if !report.check("fuzz build", build)? {
        return Ok(());
    }
    for target in targets(&cargo_fuzz)? {
        let dir = fuzz_dir();
        let corpus = dir.join("corpus").join(&target);
        std::fs::create_dir_all(&corpus).context("corpus")?;
        let mut command = fuzz(&cargo_fuzz, "run");
        command.arg("--release").arg(&target).arg(corpus);
        let seeds = dir.join("seeds").join(&target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.args([
            "--".to_owned(),
            format!("-max_total_time={seconds}"),
            format!("-timeout={INPUT_TIMEOUT}"),
            format!("-rss_limit_mb={MEMORY_LIMIT}"),
            "-print_final_stats=1".to_owned(),
        ]);
        report.check(&format!("fuzz {target}"), command)?;
    }
    Ok(())
}

fn fuzz_dir() -> PathBuf {
    cargo::root().join("tests/fuzz")
}

/// A cargo-fuzz command. RUSTC_BOOTSTRAP: the instrumentation options are not stable, the compiler
/// is.
fn fuzz(cargo_fuzz: &Path, verb: &str) -> Command {
    let mut command = Command::new(cargo_fuzz);
    command
        .current_dir(fuzz_dir())
        .arg("fuzz")
        .arg(verb)
        .arg("--fuzz-dir")
        .arg(fuzz_dir());
    command.env("RUSTC_BOOTSTRAP", "1");
    // Those of the cargo that runs us would name this package.
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}

/// cargo-fuzz of this machine, else installed into the target directory. A skip when neither.
fn find_or_install(report: &mut Report) -> Result<Option<PathBuf>> {
    if let Some(path) = bin::in_path("cargo-fuzz") {
        return Ok(Some(path));
    }
    let tools = cargo::target_dir()?.join("tools");
    let installed = tools.join("bin/cargo-fuzz");
    if !installed.is_file() {
        println!("  installing cargo-fuzz into {}", tools.display());
        let mut install = cargo::cargo();
        install
            .args(["install", "--quiet", "--locked", "cargo-fuzz", "--root"])
            .arg(&tools);
        let status = report.run_logged("cargo-fuzz install", install, |_| ())?;
        if !status.success() {
            report.skip(format!(
                "fuzz targets: cargo-fuzz cannot be installed ({status})"
            ));
            return Ok(None);
        }
    }
    Ok(Some(installed))
}

/// Names of all targets.
fn targets(cargo_fuzz: &Path) -> Result<Vec<String>> {
    let output = fuzz(cargo_fuzz, "list")
        .output()
        .context("cannot run cargo fuzz list")?;
    ensure!(
        output.status.success(),
        "cargo fuzz list: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let list = String::from_utf8(output.stdout).context("cargo fuzz list")?;
    ensure!(!list.trim().is_empty(), "cargo fuzz list names no target");
    Ok(list.lines().map(str::to_owned).collect())
}
