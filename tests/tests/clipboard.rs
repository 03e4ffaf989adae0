//! The clipboard works inside a VM, and never between two.

use anyhow::{Result, ensure};
use integration_tests::{Chain, skip};

#[test]
fn what_is_copied_in_a_vm_is_pasted_there_and_nowhere_else() -> Result<()> {
    let name = "what_is_copied_in_a_vm_is_pasted_there_and_nowhere_else";
    if !skip::has_programs(name, &["wl-copy", "wl-paste"]) {
        return Ok(());
    }
    const TEXT: &str = "copied in one VM: äöü 0123456789";
    let chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start()?;
    let (here, elsewhere) = (chain.app("personal"), chain.app("work"));
    // In the foreground it stays as long as it owns the clipboard.
    let mut copy = chain.spawn(here, "wl-copy", ["--foreground", TEXT])?;
    let pasted = integration_tests::wait::until(
        "the clipboard to be offered",
        integration_tests::wait::Deadline::step(),
        || {
            let (status, text) = chain.sommelier(here, "paste")?.arg("wl-paste").run()?;
            Ok(status.success().then_some(text))
        },
    )?;
    ensure!(pasted.lines().last() == Some(TEXT), "pasted: {pasted:?}");

    let (status, text) = chain.sommelier(elsewhere, "paste")?.arg("wl-paste").run()?;
    ensure!(!status.success(), "the other VM has pasted: {text:?}");
    ensure!(!text.contains(TEXT), "the other VM has pasted: {text:?}");
    copy.stop()?;
    chain.stop()
}

#[test]
fn a_large_paste_arrives_whole() -> Result<()> {
    if !skip::has_programs("a_large_paste_arrives_whole", &["wl-copy", "wl-paste"]) {
        return Ok(());
    }
    /// Many times what a pipe or a message holds.
    const BYTES: usize = 4 * 1024 * 1024;
    let chain = Chain::builder()?.vm("personal", "#2e7d32").start()?;
    let vm = chain.app("personal");
    let dir = chain.paths().dir();
    let data: Vec<u8> = (0..BYTES)
        .map(|at| b'a' + u8::try_from(at * 7 % 23).unwrap_or(0))
        .collect();
    let (source, target) = (dir.write("source", &data)?, dir.join("target"));
    let script = format!(
        "exec wl-copy --foreground --type text/plain < {}",
        source.display()
    );
    let mut copy = chain.spawn(vm, "sh", ["-c", &script])?;
    let script = format!("exec wl-paste --no-newline > {}", target.display());
    integration_tests::wait::until(
        "the clipboard to be offered",
        integration_tests::wait::Deadline::step(),
        || {
            let command = chain.sommelier(vm, "paste")?.args(["sh", "-c", &script]);
            Ok(command.run()?.0.success().then_some(()))
        },
    )?;
    ensure!(std::fs::read(&target)? == data, "the pasted bytes differ");
    copy.stop()?;
    chain.stop()
}
