//! Text, terminals and windows that the tests show.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::Picture;
use integration_tests::ctl::Window;
use integration_tests::foot::Foot;
use integration_tests::vm::{Program, VmChain};

/// An app VM of the tests: name and colour.
pub const PERSONAL: (&str, &str) = ("personal", "#2e7d32");
/// Another one.
pub const WORK: (&str, &str) = ("work", "#c62828");

/// Keeps a terminal open.
pub const STAY: &str = "exec tail -f /dev/null";

/// Reads a line, and shows it as the title.
pub const READ_LINE: &str =
    r#"read line; printf '\033]2;read: %s\033\\' "$line"; exec tail -f /dev/null"#;

/// Text has edges in many shades.
const TEXT_COLOURS: usize = 16;

/// Whether a picture shows text.
pub fn has_text(content: &Picture) -> bool {
    content.colours() > TEXT_COLOURS
}

/// Where pictures that differ are left.
pub fn pictures() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("path of the running test")?;
    let target = exe.ancestors().nth(3).unwrap_or(Path::new("/"));
    Ok(target.join("tmp/pictures"))
}

/// A compositor VM and the two app VMs, ready. `None` without images.
///
/// # Errors
/// When one does not get ready.
pub fn two_app_vms() -> Result<Option<VmChain>> {
    let Some(builder) = VmChain::for_test()? else {
        return Ok(None);
    };
    let builder = builder.app(PERSONAL.0, PERSONAL.1).app(WORK.0, WORK.1);
    builder.start().map(Some)
}

/// A compositor VM and one app VM, [`PERSONAL`], ready. `None` without images.
///
/// # Errors
/// When one does not get ready.
pub fn one_app_vm() -> Result<Option<VmChain>> {
    let Some(builder) = VmChain::for_test()? else {
        return Ok(None);
    };
    builder.app(PERSONAL.0, PERSONAL.1).start().map(Some)
}

/// A terminal in an app VM that shows what `script` prints, and then runs `then`.
///
/// # Errors
/// When its window does not appear; with what it has said.
pub fn terminal(
    chain: &VmChain,
    vm: &str,
    title: &str,
    script: &str,
    then: &str,
) -> Result<(Program, Window)> {
    let guest = chain.app(vm)?;
    let foot = Foot::in_guest(guest, title, script)?;
    let argv = std::iter::once("foot".to_owned()).chain(foot.arguments(then));
    let program = guest.run(argv)?;
    let waited = chain.screen()?.ctl().wait_title(vm, title);
    let window = waited.with_context(|| program.story())?;
    Ok((program, window))
}

/// A program of the app VM shows a window, and ends.
///
/// # Errors
/// When it does not.
pub fn works(chain: &VmChain, vm: &str) -> Result<()> {
    let (program, _) = terminal(chain, vm, "it works", "true", STAY)?;
    program.stop()?;
    let ctl = chain.screen()?;
    let left = ctl.ctl().windows()?;
    let left = left.iter().filter(|window| window.vm() == vm);
    ensure!(
        left.clone().all(|window| window.title() != "it works"),
        "the window of an ended program is left"
    );
    Ok(())
}
