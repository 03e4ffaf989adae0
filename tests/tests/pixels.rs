//! What a program draws is what is seen: through the whole chain, inside a frame that is the
//! compositor's alone.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::ctl::Window;
use integration_tests::foot::{self, Foot};
use integration_tests::picture::Rgb;
use integration_tests::{Chain, Picture};

const PERSONAL: (&str, &str) = ("personal", "#2e7d32");
const WORK: (&str, &str) = ("work", "#c62828");

/// Text with all a terminal draws: colours, bold, lines, umlauts.
const TEXT: &str = r"printf 'fixed text \033[31mred\033[0m \033[1;44mbold on blue\033[0m\n'
printf '┌──────┐\n│ äöüß │\n└──────┘\n0123456789 !\042#$%%&()*+,-./:;<=>?@[]^_`{|}~\n'";
/// Keeps the terminal open.
const STAY: &str = "exec tail -f /dev/null";
/// Text has edges in many shades.
const TEXT_COLOURS: usize = 16;

fn chain() -> Result<Chain> {
    let builder = Chain::builder()?;
    builder
        .vm(PERSONAL.0, PERSONAL.1)
        .vm(WORK.0, WORK.1)
        .start()
}

fn output_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures")
}

/// `#rrggbb` as a pixel.
fn pixel(colour: &str) -> Result<Rgb> {
    let number = u32::from_str_radix(colour.trim_start_matches('#'), 16).context("colour")?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok([red, green, blue])
}

#[test]
fn foot_through_the_chain_equals_foot_on_the_test_socket() -> Result<()> {
    if !foot::is_installed("foot_through_the_chain_equals_foot_on_the_test_socket") {
        return Ok(());
    }
    let chain = chain()?;
    let (ctl, dir) = (chain.ctl()?, chain.paths().dir());
    let vm = chain.app(PERSONAL.0);
    let foot = Foot::new(dir, "fixed", TEXT)?;
    let has_text = |content: &Picture| content.colours() > TEXT_COLOURS;

    let (mut process, window) = foot.directly(&chain, vm, STAY)?;
    let direct = foot::settled_content(&ctl, dir, &window, has_text)?;
    process.stop()?;
    ctl.wait_no_windows(vm.name())?;

    let (mut process, window) = foot.in_vm(&chain, vm, STAY)?;
    let through = foot::settled_content(&ctl, dir, &window, has_text)?;
    direct.expect_equal(&through, "foot", &output_dir())?;
    process.stop()?;
    ctl.wait_no_windows(vm.name())?;
    chain.stop()
}

/// Least width of a frame on each side, in pixels.
const BORDER: usize = 4;

/// The pixels of a window's frame: the outer border, and the rest (the title bar).
fn frame_pixels(screen: &Picture, window: &Window) -> Result<(Vec<Rgb>, Vec<Rgb>)> {
    let (frame, content) = (window.frame()?, window.content()?);
    let (mut border, mut rest) = (Vec::new(), Vec::new());
    for y in frame.y..frame.y + frame.height {
        for x in frame.x..frame.x + frame.width {
            let pixel = screen.pixel(x, y).context("a frame on the screen")?;
            if !frame.shrunk(BORDER).contains(x, y) {
                border.push(pixel);
            } else if !content.contains(x, y) {
                rest.push(pixel);
            }
        }
    }
    Ok((border, rest))
}

#[test]
fn each_frame_has_the_colour_of_its_vm_and_no_other() -> Result<()> {
    let chain = chain()?;
    let ctl = chain.ctl()?;
    let mut clients = Vec::new();
    for (name, _) in [PERSONAL, WORK] {
        let vm = chain.app(name);
        let client = chain.test_client(vm, "pattern-client")?;
        clients.push(
            client
                .args(["--width=400", "--height=300", "--frames=2"])
                .talk()?,
        );
        ctl.wait_title(name, "pattern done")?;
    }
    let screen = ctl.picture(&chain.paths().dir().join("screen.png"))?;
    for (name, colour, other) in [
        (PERSONAL.0, pixel(PERSONAL.1)?, pixel(WORK.1)?),
        (WORK.0, pixel(WORK.1)?, pixel(PERSONAL.1)?),
    ] {
        let window = ctl.wait_title(name, "pattern done")?;
        let content = window.content()?;
        ensure!(
            window.frame()?.shrunk(BORDER).contains_all(&content),
            "{name}: the frame is narrower than {BORDER} pixels somewhere"
        );
        let (border, rest) = frame_pixels(&screen, &window)?;
        let own = border.iter().filter(|pixel| **pixel == colour).count();
        ensure!(
            own == border.len(),
            "{name}: {own} of {} border pixels",
            border.len()
        );
        ensure!(rest.contains(&colour), "{name}: no label of its colour");
        ensure!(
            !rest.contains(&other),
            "{name}: the other VM's colour in its frame"
        );
    }
    for client in &mut clients {
        client.process().stop()?;
    }
    chain.stop()
}

/// The pictures with which title bars are compared; `UPDATE_REFERENCES=1` writes them.
fn reference(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/references")
        .join(name)
}

#[test]
fn the_name_of_the_vm_is_drawn_in_the_title_bar() -> Result<()> {
    let chain = chain()?;
    let ctl = chain.ctl()?;
    for (name, _) in [PERSONAL, WORK] {
        let client = chain.test_client(chain.app(name), "pattern-client")?;
        let mut client = client
            .args(["--width=400", "--height=300", "--frames=2"])
            .talk()?;
        let window = ctl.wait_title(name, "pattern done")?;
        let (frame, content) = (window.frame()?, window.content()?);
        let screen = ctl.picture(&chain.paths().dir().join("screen.png"))?;
        let bar = screen.crop(frame.x, frame.y, frame.width, content.y - frame.y)?;
        let file = reference(&format!("title-{name}.png"));
        if std::env::var_os("UPDATE_REFERENCES").is_some() {
            bar.write(&file)?;
        }
        Picture::read(&file)?.expect_equal(&bar, &format!("title-{name}"), &output_dir())?;
        client.process().stop()?;
        ctl.wait_no_windows(name)?;
    }
    chain.stop()
}
