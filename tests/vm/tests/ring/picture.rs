//! A window through three VMs is the same as through none, pixel for pixel.

use anyhow::Result;
use integration_tests::chain::ChainBuilder;
use integration_tests::ctl::Window;
use integration_tests::foot::{self, Foot};
use integration_tests::screen::Screen;
use integration_tests::vm::{Assets, Image};
use integration_tests::{Picture, TestDir};
use vm_tests::scene::{self, PERSONAL, STAY};

/// Text with all a terminal draws: colours, bold, lines, umlauts.
const TEXT: &str = r"printf 'fixed text \033[31mred\033[0m \033[1;44mbold on blue\033[0m\n'
printf '┌──────┐\n│ äöüß │\n└──────┘\n0123456789 !\042#$%%&()*+,-./:;<=>?@[]^_`{|}~\n'";

/// The window with its frame, once its content stays.
fn window_picture(screen: &impl Screen, dir: &TestDir, window: &Window) -> Result<Picture> {
    foot::settled_content(screen, dir, window, scene::has_text)?;
    let frame = window.frame()?;
    let picture = screen.picture(&dir.join("window.png"))?;
    picture.crop(frame.x, frame.y, frame.width, frame.height)
}

/// What it looks like without any VM.
fn embedded(assets: &Assets) -> Result<Picture> {
    let builder = ChainBuilder::new(assets.binaries().clone());
    let chain = builder.vm(PERSONAL.0, PERSONAL.1).start()?;
    let (vm, dir) = (chain.app(PERSONAL.0), chain.paths().dir());
    let foot = Foot::new(dir, "fixed", TEXT)?;
    let (mut process, window) = foot.in_vm(&chain, vm, STAY)?;
    let picture = window_picture(&chain.ctl()?, dir, &window)?;
    process.stop()?;
    chain.stop()?;
    Ok(picture)
}

#[test]
fn a_terminal_and_its_frame_look_as_without_vms() -> Result<()> {
    let Some(assets) = Assets::for_test(&[Image::Compositor, Image::App])? else {
        return Ok(());
    };
    if !foot::is_installed("a_terminal_and_its_frame_look_as_without_vms") {
        return Ok(());
    }
    let expected = embedded(&assets)?;
    let Some(chain) = scene::one_app_vm()? else {
        return Ok(());
    };
    let screen = chain.screen()?;
    // Away from where the window will be.
    screen.point(1279, 799)?;
    let (program, window) = scene::terminal(&chain, PERSONAL.0, "fixed", TEXT, STAY)?;
    let seen = window_picture(&screen, chain.host().paths().dir(), &window)?;
    expected.expect_equal(&seen, "vm-foot", &scene::pictures()?)?;
    program.stop()?;
    screen.ctl().wait_no_windows(PERSONAL.0)?;
    drop(screen);
    chain.stop()
}
