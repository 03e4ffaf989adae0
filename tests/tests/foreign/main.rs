//! Debian's compositors serve app VMs and local programs at once, through the interposing library
//! and unmodified.

use std::path::Path;

use anyhow::{Result, ensure};
use integration_tests::foreign::{Foreign, Kind, wait_file};
use integration_tests::picture::Rgb;
use integration_tests::{Daemon, Picture, VmSpec};

mod clipboard;

const PERSONAL: &str = "personal";
const WORK: &str = "work";

/// A client of each: where it runs, and the colour it fills its window with.
const CLIENTS: [(Option<&str>, &str, Rgb); 3] = [
    (Some(PERSONAL), "2e7d32", [0x2e, 0x7d, 0x32]),
    (Some(WORK), "c62828", [0xc6, 0x28, 0x28]),
    (None, "1565c0", [0x15, 0x65, 0xc0]),
];

/// Sizes of their windows. The later lie on the earlier and leave something of them.
const SIZES: [&str; 3] = ["700x500", "400x300", "200x150"];

/// Pixels of a colour that are a window and no accident.
const MANY: usize = 4000;

fn start(kind: Kind) -> Result<Foreign> {
    let vms = [(PERSONAL, "#2e7d32"), (WORK, "#c62828")];
    Foreign::start(kind, vms.map(|(name, colour)| VmSpec::new(name, colour)))
}

/// A terminal of one colour that runs a script.
fn foot(foreign: &Foreign, which: usize, script: &str) -> Result<Daemon> {
    let (vm, colour, _) = CLIENTS[which];
    foreign
        .client(vm, &format!("foot-{which}"), "foot")?
        .arg("--config=/dev/null")
        .arg("--override=font=DejaVu Sans Mono:size=12")
        .arg("--override=dpi-aware=no")
        .arg("--override=csd.preferred=none")
        .arg("--override=key-bindings.fullscreen=F11")
        .arg(format!("--override=colors.background={colour}"))
        .arg(format!("--window-size-pixels={}", SIZES[which]))
        .args(["sh", "-c", script])
        .spawn()
}

fn serves_two_vms_and_a_local_program(kind: Kind, test: &str) -> Result<()> {
    if !kind.is_installed(test) {
        return Ok(());
    }
    let foreign = start(kind)?;
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let colours = CLIENTS.map(|(_, _, colour)| colour);
    let mut clients = Vec::new();
    for which in 0..CLIENTS.len() {
        clients.push(foot(&foreign, which, "exec tail -f /dev/null")?);
        let seen = if kind.shows_several() {
            &colours[..=which]
        } else {
            &colours[which..=which]
        };
        let picture = foreign.wait_colours(seen, MANY)?;
        std::fs::create_dir_all(&output)?;
        picture.write(&output.join(format!("{}-{which}.png", kind.program())))?;
    }
    // Each goes by itself, and the others stay.
    while let Some(mut client) = clients.pop() {
        ensure!(client.try_wait()?.is_none(), "{}", client.log_tail());
        client.stop()?;
        let gone = colours[clients.len()];
        foreign.wait_picture("the window to go", |picture| picture.count(gone) < MANY)?;
    }
    foreign.stop()
}

fn keys_reach_the_program_in_the_app_vm(kind: Kind, test: &str) -> Result<()> {
    const LINE: &str = "typed 42 (a/b) lines";
    if !kind.is_installed(test) {
        return Ok(());
    }
    let foreign = start(kind)?;
    let (_, _, colour) = CLIENTS[1];
    let dir = foreign.apps.paths().dir();
    let (heard, resized) = (dir.join("heard"), dir.join("resized"));
    // A signal ends `read`, with nothing read.
    let script = format!(
        "trap 'stty size >{}' WINCH
        while [ -z \"$line\" ]; do read -r line; done
        printf %s \"$line\" >{}
        while :; do read -r line; done",
        resized.display(),
        heard.display(),
    );
    let mut client = foot(&foreign, 1, &script)?;
    foreign.wait_colours(&[colour], MANY)?;
    let ctl = foreign.ctl()?;
    ctl.input(["type", &format!("{LINE}\n")])?;
    let bytes = wait_file(&heard)?;
    ensure!(
        bytes == LINE.as_bytes(),
        "{:?}",
        String::from_utf8_lossy(&bytes)
    );
    if kind.shows_several() {
        // The whole screen is another size than a share of it.
        let _ = std::fs::remove_file(&resized);
        ctl.input(["key", "F11"])?;
        let size = String::from_utf8(wait_file(&resized)?)?;
        ensure!(size.split_whitespace().count() == 2, "{size:?}");
    }
    client.stop()?;
    foreign.stop()
}

/// A program that draws small parts of its window, again and again. (Not on Sway 1.7, where it ends
/// for want of a free buffer, as a local program too.)
fn damage_is_drawn(kind: Kind, test: &str) -> Result<()> {
    if !kind.is_installed(test) {
        return Ok(());
    }
    let foreign = start(kind)?;
    let background = kind.background();
    let is_empty = |picture: &Picture| {
        let seen = picture.count(background);
        seen > picture.width() * picture.height() * 9 / 10
    };
    let empty = foreign.wait_picture("the empty screen", is_empty)?;
    let program = "weston-simple-damage";
    let mut client = foreign.client(Some(WORK), program, program)?.spawn()?;
    let mut last = foreign.wait_picture("its window", |picture| {
        picture.count(background) + MANY < empty.count(background)
    })?;
    for _ in 0..5 {
        last = foreign.wait_picture("its next frame", |picture| *picture != last)?;
    }
    ensure!(client.try_wait()?.is_none(), "{}", client.log_tail());
    client.stop()?;
    foreign.wait_picture("its window to go", is_empty)?;
    foreign.stop()
}

/// One test of each kind for each compositor.
macro_rules! tests {
    ($($module:ident: $kind:expr;)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn two_vms_and_a_local_program() -> Result<()> {
                serves_two_vms_and_a_local_program($kind, stringify!($module))
            }

            #[test]
            fn typing_and_a_new_size() -> Result<()> {
                keys_reach_the_program_in_the_app_vm($kind, stringify!($module))
            }

            #[test]
            fn clipboard() -> Result<()> {
                clipboard::between_vms_and_to_a_local_program($kind, stringify!($module))
            }
        }
    )*};
}

tests! {
    weston: Kind::Weston;
    sway: Kind::Sway;
    cage: Kind::Cage;
}

#[test]
fn weston_draws_damage() -> Result<()> {
    damage_is_drawn(Kind::Weston, "weston_draws_damage")
}

#[test]
fn cage_draws_damage() -> Result<()> {
    damage_is_drawn(Kind::Cage, "cage_draws_damage")
}
