//! Compositors that are not ours: their screens are looked at, as there is nobody to be asked.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Picture;
use integration_tests::picture::Rgb;
use integration_tests::vm::{Assets, Image, Program, STEP, Vm, VmChain, VmChainBuilder};
use integration_tests::wait::{self, Deadline};

use crate::scene::{self, PERSONAL, WORK};

mod typing;

pub use typing::Typing;

/// Pixels of a window's background that have to be seen: windows may lie over each other, in places
/// of the compositor's choice.
const ENOUGH: usize = 400;

/// What foot is told, besides its background.
const FOOT: [&str; 4] = [
    "--config=/dev/null",
    "--override=font=DejaVu Sans Mono:size=12",
    "--override=cursor.blink=no",
    "--override=resize-delay-ms=0",
];

/// A program that stays.
pub const STAY: [&str; 3] = ["tail", "-f", "/dev/null"];

/// A chain with two app VMs, [`PERSONAL`] and [`WORK`], and one of Debian's compositors, ready; with
/// changes. `None` without images.
///
/// # Errors
/// When one does not get ready.
pub fn start(
    compositor: &str,
    change: impl FnOnce(VmChainBuilder) -> VmChainBuilder,
) -> Result<Option<VmChain>> {
    let Some(assets) = Assets::for_test(&[Image::Desktop, Image::App])? else {
        return Ok(None);
    };
    let builder = VmChainBuilder::new(assets)
        .app(PERSONAL.0, PERSONAL.1)
        .app(WORK.0, WORK.1)
        .compositor(&[compositor]);
    change(builder).start().map(Some)
}

/// How large a terminal is made, in pixels.
pub type Size = (u32, u32);
/// Of one that others may lie over.
pub const LARGE: Size = (800, 500);
/// Of one that lies over a large one, and under a small one.
pub const MEDIUM: Size = (560, 340);
/// Of one that shows another below, wherever it is.
pub const SMALL: Size = (320, 200);

/// A terminal with a background of its own (`rrggbb`) that runs `argv`.
///
/// # Errors
/// When the guest refuses.
pub fn terminal(vm: &Vm, size: Size, background: &str, argv: &[&str]) -> Result<Program> {
    let size = format!(
        "--override=initial-window-size-pixels={}x{}",
        size.0, size.1
    );
    let colour = format!("--override=colors.background={background}");
    let words = ["foot"].into_iter().chain(FOOT).chain([&*size, &*colour]);
    vm.run(words.chain(argv.iter().copied()))
}

/// Ends a program as a fault of its own would.
///
/// # Errors
/// When there is no such program, or more than one.
pub fn crash(vm: &Vm, name: &str) -> Result<()> {
    const CRASH: &str = r#"
        for process in /proc/[0-9]*; do
            read -r name <"$process/comm" && [ "$name" = "$1" ] && set -- "$@" "${process#/proc/}"
        done 2>/dev/null
        [ $# = 2 ] && kill -SEGV "$2""#;
    vm.run(["sh", "-c", CRASH, "sh", name])?.success().map(drop)
}

/// Waits until all these backgrounds (`rrggbb`) are on the screen, and nothing changes any more; the
/// picture, which is left as `NAME.png` with others of the tests.
///
/// # Errors
/// When one is not seen in time, with the place of the last picture.
pub fn wait_colours(vm: &Vm, name: &str, backgrounds: &[&str]) -> Result<Picture> {
    let colours: Vec<Rgb> = backgrounds
        .iter()
        .map(|text| colour(text))
        .collect::<Result<_>>()?;
    let mut last = None;
    wait_picture(vm, name, |picture| {
        let seen = |colour: &Rgb| picture.count(*colour) >= ENOUGH;
        let settled = last.as_ref() == Some(picture);
        last = Some(picture.clone());
        settled && colours.iter().all(seen)
    })
}

/// Waits until what is on the screen has changed `count` times, by more than a clock does.
///
/// # Errors
/// When it has not in time.
pub fn wait_frames(vm: &Vm, name: &str, count: usize) -> Result<()> {
    let mut last: Option<Picture> = None;
    for _ in 0..count {
        let picture = wait_picture(vm, name, |picture| {
            last.as_ref().is_none_or(|last| {
                let difference = picture.difference(last);
                difference.is_ok_and(|(pixels, _)| pixels >= ENOUGH)
            })
        })?;
        last = Some(picture);
    }
    Ok(())
}

/// Waits until nearly all of the screen is of one background (`rrggbb`), and nothing changes any
/// more; the picture, which is left as `NAME.png`.
///
/// # Errors
/// When it is not in time, with the place of the last picture.
pub fn wait_filled(vm: &Vm, name: &str, background: &str) -> Result<Picture> {
    let colour = colour(background)?;
    let mut last = None;
    wait_picture(vm, name, |picture| {
        let all = picture.width() * picture.height();
        let settled = last.as_ref() == Some(picture);
        last = Some(picture.clone());
        // Text, a title, perhaps a panel.
        settled && picture.count(colour) >= all / 10 * 8
    })
}

/// Waits until the screen is as `accept` wants it; the picture stays as `NAME.png`.
///
/// # Errors
/// When it is not in time, with the place of the last picture.
pub fn wait_picture(
    vm: &Vm,
    name: &str,
    mut accept: impl FnMut(&Picture) -> bool,
) -> Result<Picture> {
    let path = picture_path(name)?;
    let waited = wait::until(name, Deadline::after(STEP), || {
        vm.monitor().screendump(&path)?;
        let picture = Picture::read(&path)?;
        Ok(accept(&picture).then_some(picture))
    });
    waited.with_context(|| format!("the last picture is {}", path.display()))
}

fn picture_path(name: &str) -> Result<PathBuf> {
    let dir = scene::pictures()?;
    std::fs::create_dir_all(&dir).context("directory of pictures")?;
    Ok(dir.join(format!("{name}.png")))
}

/// `rrggbb` as a pixel.
fn colour(text: &str) -> Result<Rgb> {
    ensure!(text.len() == 6, "{text} is no colour");
    let number = u32::from_str_radix(text, 16).context("colour")?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok([red, green, blue])
}
