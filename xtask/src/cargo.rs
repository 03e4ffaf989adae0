//! Building the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Binaries;

/// A cargo command at the root of the workspace, with the cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
        .to_path_buf()
}

/// The directory cargo builds into.
///
/// # Errors
/// When our own path is unknown.
pub(crate) fn target_dir() -> Result<PathBuf> {
    // …/target/debug/xtask
    let exe = std::env::current_exe().context("path of the running binary")?;
    let dir = exe
        .parent()
        .and_then(Path::parent)
        .context("target directory")?;
    Ok(dir.to_path_buf())
}

/// How the binaries are built.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// What users run.
    Release,
    /// What the tests run; quicker to build.
    Debug,
}

/// Builds all binaries; cargo's own errors go to the terminal.
///
/// # Errors
/// When the build fails.
pub(crate) fn build(profile: Profile) -> Result<Binaries> {
    build_with(profile, &["--bins", "--workspace", "--exclude", "xtask"])
}

/// Builds all binaries and all libraries.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_everything(profile: Profile) -> Result<Binaries> {
    build_with(profile, &["--workspace", "--exclude", "xtask"])
}

/// Builds the binaries of some packages only.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_packages(profile: Profile, packages: &[&str]) -> Result<Binaries> {
    let names = packages.iter().flat_map(|name| ["--package", *name]);
    build_with(
        profile,
        &["--bins"].into_iter().chain(names).collect::<Vec<_>>(),
    )
}

/// Builds the shared library of a package; its path.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_library(profile: Profile, package: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--lib",
        "--package",
        package,
    ]);
    run(command, profile)?;
    let file = format!("lib{}.so", package.replace('-', "_"));
    Ok(built(profile)?.dir().join(file))
}

fn build_with(profile: Profile, which: &[&str]) -> Result<Binaries> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked"]);
    command.args(which);
    run(command, profile)?;
    built(profile)
}

/// Runs a build.
fn run(mut command: Command, profile: Profile) -> Result<()> {
    if profile == Profile::Release {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "the build failed");
    Ok(())
}

/// What has been built, without building anything.
///
/// # Errors
/// When our own path is unknown.
pub(crate) fn built(profile: Profile) -> Result<Binaries> {
    let dir = match profile {
        Profile::Release => "release",
        Profile::Debug => "debug",
    };
    Ok(Binaries::in_dir(target_dir()?.join(dir)))
}
