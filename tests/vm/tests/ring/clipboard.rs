//! The clipboard works inside a VM, and never between two.

use anyhow::{Result, ensure};
use vm_tests::scene::{self, PERSONAL, WORK};

const TEXT: &str = "copied in one VM";

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn what_is_copied_in_a_vm_is_pasted_there_and_nowhere_else() -> Result<()> {
    let Some(chain) = scene::two_app_vms()? else {
        return Ok(());
    };
    // Goes to the background once it owns the clipboard.
    chain.app(PERSONAL.0)?.run(["wl-copy", TEXT])?.success()?;
    let paste = |vm: &str| {
        let program = chain.app(vm)?.run(["wl-paste", "--no-newline"])?;
        anyhow::Ok((program.wait()?.success(), program.output().stdout))
    };
    let (success, pasted) = paste(PERSONAL.0)?;
    ensure!(success, "nothing pasted");
    ensure!(pasted == TEXT, "pasted: {pasted:?}");
    let (success, text) = paste(WORK.0)?;
    ensure!(
        !success && !text.contains(TEXT),
        "the other VM has pasted: {text:?}"
    );
    chain.stop()
}
