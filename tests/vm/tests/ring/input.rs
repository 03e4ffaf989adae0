//! Keys and clicks of the compositor VM's own keyboard and pointer.

use anyhow::{Context as _, Result, ensure};
use integration_tests::foot;
use vm_tests::scene::{self, PERSONAL, READ_LINE, STAY, WORK};

#[test]
fn typed_text_appears_in_the_terminal_as_printed_text_does() -> Result<()> {
    const TYPED: &str = "Hello, World! 42 (a/b)";
    let Some(chain) = scene::one_app_vm()? else {
        return Ok(());
    };
    let (screen, dir) = (chain.screen()?, chain.host().paths().dir());
    screen.point(1279, 799)?;

    let printed = format!("printf '%s' '> {TYPED}'");
    let silent = "exec cat >/dev/null";
    let (program, window) = scene::terminal(&chain, PERSONAL.0, "printed", &printed, silent)?;
    let expected = foot::settled_content(&screen, dir, &window, scene::has_text)?;
    program.stop()?;
    screen.ctl().wait_no_windows(PERSONAL.0)?;

    let (program, window) = scene::terminal(&chain, PERSONAL.0, "prompt", "printf '> '", silent)?;
    screen.type_text(TYPED)?;
    let typed = foot::settled_content(&screen, dir, &window, |content| *content == expected);
    let typed = typed.or_else(|_| foot::settled_content(&screen, dir, &window, |_| true))?;
    expected.expect_equal(&typed, "vm-typed", &scene::pictures()?)?;
    program.stop()?;
    chain.stop()
}

#[test]
fn a_click_gives_the_keyboard_to_the_window_under_it() -> Result<()> {
    let Some(chain) = scene::two_app_vms()? else {
        return Ok(());
    };
    let screen = chain.screen()?;
    let ctl = screen.ctl();
    for vm in [PERSONAL.0, WORK.0] {
        scene::terminal(&chain, vm, "prompt", "printf '> '", READ_LINE)?;
    }
    // The newest window has the keyboard; a click takes it to the other, and back.
    for (vm, other, text) in [
        (PERSONAL.0, WORK.0, "first"),
        (WORK.0, PERSONAL.0, "second"),
    ] {
        let windows = ctl.windows()?;
        let find = |name: &str| windows.iter().find(|window| window.vm() == name);
        let (window, covering) = (find(vm).context("window")?, find(other).context("window")?);
        let (area, cover) = (window.content()?, covering.frame()?);
        ensure!(
            !cover.contains(area.x + area.width / 2, area.y + area.height / 2),
            "the windows lie over each other: {area:?}, {cover:?}"
        );
        screen.click(area)?;
        screen.type_text(&format!("{text}\n"))?;
        ctl.wait_title(vm, &format!("read: {text}"))?;
    }
    scene::works(&chain, PERSONAL.0)?;
    chain.stop()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn keys_pressed_without_a_window_reach_nobody_later() -> Result<()> {
    let Some(chain) = scene::one_app_vm()? else {
        return Ok(());
    };
    let screen = chain.screen()?;
    screen.type_text("lost")?;
    scene::terminal(&chain, PERSONAL.0, "prompt", "true", READ_LINE)?;
    screen.type_text("found\n")?;
    screen.ctl().wait_title(PERSONAL.0, "read: found")?;
    let (program, _) = scene::terminal(&chain, PERSONAL.0, "other", "true", STAY)?;
    program.stop()?;
    chain.stop()
}
