//! The man pages list exactly the options that `--help` lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Binaries;

/// Options every program has, and no page needs to explain.
const EVERYWHERE: [&str; 2] = ["--help", "--version"];

/// All `--options` in a text.
fn options(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let before = rest[..at].chars().next_back();
        let word: String = rest[at + 2..].chars().take_while(|c| is_name(*c)).collect();
        rest = &rest[at + 2 + word.len()..];
        let starts = before.is_none_or(|c| !is_name(c) && !c.is_alphanumeric());
        let word = word.trim_end_matches('-');
        if starts && !word.is_empty() {
            found.insert(format!("--{word}"));
        }
    }
    found.retain(|option| !EVERYWHERE.contains(&option.as_str()));
    found
}

/// `--help` of a program and of all its sub-commands, as it lists them itself.
fn help(program: &Path, subcommand: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command
        .args(subcommand)
        .arg("--help")
        .output()
        .context("--help")?;
    ensure!(
        output.status.success(),
        "{} {subcommand:?} --help failed",
        program.display()
    );
    let mut all = String::from_utf8(output.stdout).context("--help")?;
    let list = all.clone();
    let names = list.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in names.take_while(|line| !line.is_empty()) {
        // "  list    What it does"; a deeper indent goes on with the text above.
        let name = line
            .strip_prefix("  ")
            .filter(|line| !line.starts_with(' '));
        if let Some(name) = name.and_then(|line| line.split_whitespace().next())
            && name != "help"
        {
            all += &help(program, &[subcommand, &[name]].concat())?;
        }
    }
    Ok(all)
}

fn page(binary: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"));
    root.join("docs/man").join(format!("{binary}.1"))
}

/// Compares the page of a binary with its `--help`.
fn compare(binary: &str) -> Result<()> {
    let program = Binaries::beside_this_one()?.path(binary)?;
    let said = options(&help(&program, &[])?);
    let path = page(binary);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // roff writes a hyphen that may be copied as \-.
    let written = options(&text.replace("\\-", "-"));
    let missing: Vec<_> = said.difference(&written).collect();
    ensure!(missing.is_empty(), "{binary}.1 lacks {missing:?}");
    let unknown: Vec<_> = written.difference(&said).collect();
    ensure!(
        unknown.is_empty(),
        "{binary}.1 has {unknown:?}, which {binary} does not know"
    );
    Ok(())
}

#[test]
fn vhost_device_wl() -> Result<()> {
    compare("vhost-device-wl")
}

#[test]
fn wl_accept_proxy() -> Result<()> {
    compare("wl-accept-proxy")
}

#[test]
fn memfd_server() -> Result<()> {
    compare("memfd-server")
}

#[test]
fn virtio_wl_compositor() -> Result<()> {
    compare("virtio-wl-compositor")
}

#[test]
fn sommelier() -> Result<()> {
    compare("sommelier")
}

#[test]
fn virtio_wl_relay() -> Result<()> {
    compare("virtio-wl-relay")
}

#[test]
fn virtio_wl_init() -> Result<()> {
    compare("virtio-wl-init")
}

#[test]
fn options_are_found_in_text() {
    let text = "Usage: x [--socket PATH] --a-b=C, not--this, and --no-sandbox. --help -- rest";
    let found: Vec<_> = options(text).into_iter().collect();
    assert_eq!(found, ["--a-b", "--no-sandbox", "--socket"]);
}
