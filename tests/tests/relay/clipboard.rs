//! Bytes of pipes between VMs and local programs, through a compositor that knows neither.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::wait::{self, Deadline};
use integration_tests::{Command, skip};

use crate::setup::Relayed;

const MIB: usize = 1 << 20;

/// Bytes that do not repeat with a period any buffer has.
fn data(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from((at ^ (at >> 8)) * 7 % 251).unwrap_or(0))
        .collect()
}

/// Pastes into a file; whether that went well.
fn paste(command: Command, target: &Path) -> Result<Option<()>> {
    let script = format!(
        "exec wl-paste --no-newline --type text/plain > {}",
        target.display()
    );
    let (status, _) = command.args(["-c", &script]).run()?;
    Ok(status.success().then_some(()))
}

#[test]
fn clipboards_of_all_sizes_arrive_whole_in_another_vm_and_locally() -> Result<()> {
    let name = "clipboards_of_all_sizes_arrive_whole_in_another_vm_and_locally";
    if !skip::has_programs(name, &["wl-copy", "wl-paste"]) {
        return Ok(());
    }
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    let dir = chain.paths().dir();
    let (from, to) = (chain.app("personal"), chain.app("work"));
    for size in [1, 64 << 10, MIB, 16 * MIB] {
        let data = data(size);
        let source = dir.write("source", &data)?;
        // It goes on in the background once it owns the clipboard, which it can only come to while
        // nobody else has the keyboard.
        let script = format!(
            "wl-copy --type text/plain < {} && echo copied && read end",
            source.display()
        );
        let mut copy = chain
            .sommelier(from, "copy")?
            .args(["sh", "-c", &script])
            .talk()?;
        ensure!(copy.line()? == "copied", "nothing was copied");
        for local in [false, true] {
            let target = dir.join("target");
            wait::until("the clipboard to be offered", Deadline::step(), || {
                let command = match local {
                    false => chain.sommelier(to, "paste")?.arg("sh"),
                    true => Command::new("paste", "sh", chain.log_dir())
                        .env("WAYLAND_DISPLAY", relayed.socket())
                        .env("XDG_RUNTIME_DIR", relayed.runtime_dir()),
                };
                paste(command, &target)
            })?;
            let pasted = std::fs::read(&target).context("what was pasted")?;
            ensure!(
                pasted == data,
                "of {size} bytes, {} came, local {local}",
                pasted.len()
            );
        }
        copy.process().stop()?;
    }
    relayed.stop()
}
