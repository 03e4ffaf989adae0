//! The user's keys reach the program that has the focus; keymaps are memory of each client's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Chain;
use integration_tests::foot::{self, Foot};
use serde_json::Value;

/// F_SEAL_SHRINK of fcntl(2): without it a client could be killed by its keymap being cut off.
const SEAL_SHRINK: u64 = 0x2;

fn chain() -> Result<Chain> {
    Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start()
}

#[test]
fn typed_text_appears_in_the_terminal() -> Result<()> {
    if !foot::is_installed("typed_text_appears_in_the_terminal") {
        return Ok(());
    }
    const TYPED: &str = "Hello, World! 42 (a/b)";
    let chain = chain()?;
    let (ctl, dir) = (chain.ctl()?, chain.paths().dir());
    let vm = chain.app("personal");
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");

    // What it should look like: the same text, printed instead of typed.
    let printed = Foot::new(dir, "printed", &format!("printf '%s' '> {TYPED}'"))?;
    let (mut process, window) = printed.directly(&chain, vm, "exec cat >/dev/null")?;
    let expected = foot::settled_content(&ctl, dir, &window, |content| content.colours() > 16)?;
    process.stop()?;
    ctl.wait_no_windows(vm.name())?;

    let prompt = Foot::new(dir, "prompt", "printf '> '")?;
    let (mut process, window) = prompt.in_vm(&chain, vm, "exec cat >/dev/null")?;
    ctl.input(["type", TYPED])?;
    let typed = foot::settled_content(&ctl, dir, &window, |content| *content == expected);
    let typed = typed.or_else(|_| foot::settled_content(&ctl, dir, &window, |_| true))?;
    expected.expect_equal(&typed, "typed", &output)?;
    process.stop()?;
    chain.stop()
}

#[test]
fn a_typed_line_is_read_by_the_program_in_the_terminal() -> Result<()> {
    if !foot::is_installed("a_typed_line_is_read_by_the_program_in_the_terminal") {
        return Ok(());
    }
    let chain = chain()?;
    let ctl = chain.ctl()?;
    let vm = chain.app("work");
    let script = r#"read line; printf '\033]2;read: %s\033\\' "$line"; exec tail -f /dev/null"#;
    let foot = Foot::new(chain.paths().dir(), "prompt", "printf '> '")?;
    let (mut process, _) = foot.in_vm(&chain, vm, script)?;
    ctl.input(["type", "over 9000 lines\n"])?;
    ctl.wait_title(vm.name(), "read: over 9000 lines")?;
    process.stop()?;
    chain.stop()
}

#[test]
fn each_client_has_a_keymap_of_its_own_from_the_memory_server() -> Result<()> {
    let chain = chain()?;
    let mut clients = Vec::new();
    let mut keymaps = Vec::new();
    for (index, vm) in ["personal", "personal", "work"].iter().enumerate() {
        let program = chain.binaries().path("keymap-client")?;
        let command = chain.sommelier(chain.app(vm), &format!("keymap-{index}"))?;
        let mut client = command.arg(program).talk()?;
        let line: Value = serde_json::from_str(&client.line()?).context("line of the client")?;
        clients.push(client);
        keymaps.push(line);
    }
    for keymap in &keymaps {
        ensure!(keymap["is_keymap"] == true, "not a keymap: {keymap}");
        let seals = keymap["seals"]
            .as_u64()
            .context("no seals: not memory of ours")?;
        ensure!(
            seals & SEAL_SHRINK != 0,
            "not sealed against shrinking: {keymap}"
        );
        let (file, map) = (keymap["file_size"].as_u64(), keymap["keymap_size"].as_u64());
        ensure!(
            file >= map,
            "the keymap is larger than its memory: {keymap}"
        );
    }
    let mut inodes: Vec<_> = keymaps
        .iter()
        .map(|keymap| keymap["inode"].as_u64())
        .collect();
    inodes.sort_unstable();
    inodes.dedup();
    ensure!(
        inodes.len() == keymaps.len(),
        "clients share a keymap: {keymaps:?}"
    );
    for client in &mut clients {
        ensure!(client.finish()?.success(), "the client failed");
    }
    chain.stop()
}
