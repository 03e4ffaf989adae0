//! weston, unmodified: windows of two VMs and of a local program at once.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::wait::{self, Deadline};
use integration_tests::{Command, Picture, skip};

use crate::setup::{Relayed, stepping};

/// Starts weston without a screen of its own.
fn start_weston(relayed: &mut Relayed) -> Result<()> {
    let socket = relayed.socket();
    let name = socket.file_name().context("the socket's name")?;
    let command = Command::new("weston", "weston", relayed.chain.log_dir())
        .env("XDG_RUNTIME_DIR", relayed.runtime_dir())
        .env("HOME", relayed.runtime_dir())
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DISPLAY")
        .args([
            "--backend=headless-backend.so",
            "--use-pixman",
            "--no-config",
        ])
        .args(["--width=1280", "--height=720", "--idle-time=0"])
        // Any client may take pictures.
        .arg("--debug")
        .arg("--modules=systemd-notify.so")
        .option("--socket", name);
    relayed.compositor = Some(command.spawn_ready()?);
    Ok(())
}

/// What weston shows.
fn picture(relayed: &Relayed) -> Result<Picture> {
    let dir = relayed.chain.paths().dir().sub("pictures")?;
    let program = Path::new("/usr/bin/env");
    let command = Command::new("screenshooter", program, relayed.chain.log_dir())
        .args(["-C".as_ref(), dir.as_os_str()])
        .arg("weston-screenshooter")
        .env("WAYLAND_DISPLAY", relayed.socket());
    let (status, said) = command.run()?;
    ensure!(status.success(), "weston-screenshooter: {status}\n{said}");
    let mut files = std::fs::read_dir(&dir).context("pictures")?;
    let file = files.next().context("a picture")?.context("a picture")?;
    let picture = Picture::read(&file.path());
    std::fs::remove_file(file.path()).context("the picture")?;
    picture
}

/// Where a picture is seen whole in another.
fn find(screen: &Picture, part: &Picture) -> Option<(usize, usize)> {
    let corner = part.pixel(0, 0)?;
    let (right, bottom) = (
        screen.width().checked_sub(part.width())?,
        screen.height().checked_sub(part.height())?,
    );
    let places = (0..=bottom).flat_map(|y| (0..=right).map(move |x| (x, y)));
    places
        .filter(|(x, y)| screen.pixel(*x, *y) == Some(corner))
        .find(|(x, y)| {
            let seen = screen.crop(*x, *y, part.width(), part.height());
            seen.is_ok_and(|seen| seen.difference(part).is_ok_and(|(count, _)| count == 0))
        })
}

/// Waits until weston shows a client's picture.
fn shows(relayed: &Relayed, expected: &Path) -> Result<()> {
    let expected = Picture::read(expected)?;
    wait::until("the window to be shown", Deadline::step(), || {
        Ok(find(&picture(relayed)?, &expected).map(drop))
    })
}

#[test]
fn weston_shows_windows_of_two_vms_and_a_local_one() -> Result<()> {
    let name = "weston_shows_windows_of_two_vms_and_a_local_one";
    if !skip::has_programs(name, &["weston", "weston-screenshooter"]) {
        return Ok(());
    }
    let mut relayed = Relayed::prepare()?;
    start_weston(&mut relayed)?;
    relayed.start_relay(&[])?;
    let chain = &relayed.chain;
    let dir = chain.paths().dir();
    let mut windows = Vec::new();
    for vm in ["personal", "work"] {
        let expected = dir.join(format!("{vm}.png"));
        windows.push(stepping(chain, chain.app(vm), &expected)?);
        // The newest is above all others.
        shows(&relayed, &expected)?;
    }
    let expected = dir.join("local.png");
    let mut local = Command::new(
        "local",
        chain.binaries().path("pattern-client")?,
        chain.log_dir(),
    )
    .env("WAYLAND_DISPLAY", relayed.socket())
    .env("XDG_RUNTIME_DIR", relayed.runtime_dir())
    .args(["--width=300", "--height=100", "--frames=5", "--step"])
    .option("--expected", &expected)
    .talk()?;
    ensure!(local.line()? == "frame 0", "no local window");
    shows(&relayed, &expected)?;
    windows.push(local);
    // Neighbours come and go.
    chain.works(chain.app("personal"))?;
    chain.works(chain.app("work"))?;
    for frame in 1..=3 {
        for window in &mut windows {
            window.say("next")?;
            ensure!(
                window.line()? == format!("frame {frame}"),
                "a window has stopped"
            );
        }
    }
    for mut window in windows {
        window.process().stop()?;
    }
    relayed.stop()
}
