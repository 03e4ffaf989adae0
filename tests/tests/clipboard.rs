//! The clipboard works inside a VM, and never between two.

use anyhow::{Result, ensure};
use integration_tests::{AppVm, Chain, Talk, skip};

/// Runs `copy`, a `wl-copy` that goes on in the background once it owns the clipboard. It can come to
/// that only while nobody else has the keyboard, so nobody may paste before.
fn copied(chain: &Chain, vm: &AppVm, copy: &str) -> Result<Talk> {
    let script = format!("{copy} && echo copied && read end");
    let copy = chain.sommelier(vm, "copy")?.args(["sh", "-c", &script]);
    let mut copy = copy.talk()?;
    ensure!(copy.line()? == "copied", "nothing was copied");
    Ok(copy)
}

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
    let mut copy = copied(&chain, here, &format!("wl-copy '{TEXT}'"))?;
    let (_, pasted) = chain.sommelier(here, "paste")?.arg("wl-paste").run()?;
    ensure!(pasted.lines().last() == Some(TEXT), "pasted: {pasted:?}");

    let (status, text) = chain.sommelier(elsewhere, "paste")?.arg("wl-paste").run()?;
    ensure!(!status.success(), "the other VM has pasted: {text:?}");
    ensure!(!text.contains(TEXT), "the other VM has pasted: {text:?}");
    copy.process().stop()?;
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
    let script = format!("wl-copy --type text/plain < {}", source.display());
    let mut copy = copied(&chain, vm, &script)?;
    let script = format!("exec wl-paste --no-newline > {}", target.display());
    let command = chain.sommelier(vm, "paste")?.args(["sh", "-c", &script]);
    ensure!(command.run()?.0.success(), "nothing was pasted");
    ensure!(std::fs::read(&target)? == data, "the pasted bytes differ");
    copy.process().stop()?;
    chain.stop()
}
