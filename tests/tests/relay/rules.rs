//! The example rules in the compositors they are for, which are newer than what tests may expect
//! to be installed: from another root directory, such as `mmdebstrap sid` makes.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::wait::{self, Deadline};
use integration_tests::{Command, Picture, Talk, skip};

use crate::setup::{Relayed, stepping};

/// Root directory with sway 1.11, labwc 0.8.2 or newer, and grim. To be used by root only.
const ROOT_VARIABLE: &str = "VIRTIO_WL_TEST_ROOT";

/// The app VMs.
const VMS: [&str; 2] = ["personal", "work"];

/// A program of the other root directory, with our own `/tmp` and `/proc`.
fn elsewhere(relayed: &Relayed, root: &Path, name: &str, line: &str) -> Command {
    let root = root.display();
    let script = format!(
        "mount --rbind /tmp {root}/tmp && mount --rbind /proc {root}/proc && \
         mount --rbind /dev {root}/dev && exec chroot {root} sh -c 'exec {line}'"
    );
    Command::new(name, "unshare", relayed.chain.log_dir())
        .args(["--mount", "sh", "-c", &script])
        .env("XDG_RUNTIME_DIR", relayed.runtime_dir())
        .env("HOME", relayed.runtime_dir())
        .env("LC_ALL", "C.UTF-8")
        .env("WLR_BACKENDS", "headless")
        .env("WLR_RENDERER", "pixman")
        .env_remove("DISPLAY")
}

fn root(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os(ROOT_VARIABLE).map(PathBuf::from);
    if root.is_none() {
        skip::skip(test, &format!("{ROOT_VARIABLE} names no root directory"));
    }
    root
}

/// The example rules, where the other root directory has them too.
fn example(relayed: &Relayed, name: &str) -> Result<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read(repository.join("examples/rules").join(name)).context("example")?;
    let file = Path::new(name).file_name().context("name")?;
    relayed.chain.paths().dir().write(file, text)
}

/// What the compositor shows.
fn picture(relayed: &Relayed, root: &Path) -> Result<Picture> {
    let dir = relayed.chain.paths().dir();
    let count = std::fs::read_dir(dir.path()).context("directory")?.count();
    let file = dir.join(format!("screen-{count}.png"));
    let line = format!("grim {}", file.display());
    let command = elsewhere(relayed, root, "grim", &line).env("WAYLAND_DISPLAY", relayed.socket());
    let (status, said) = command.run()?;
    ensure!(status.success(), "grim: {status}\n{said}");
    Picture::read(&file)
}

/// Starts a compositor that listens on the first name that is free, and the relay.
fn start(relayed: &mut Relayed, command: Command) -> Result<()> {
    let compositor = command.spawn()?;
    let first = |name| relayed.runtime_dir().join(name);
    let socket = wait::until("the compositor to listen", Deadline::step(), || {
        let sockets = ["wayland-0", "wayland-1"].map(first);
        Ok(sockets
            .into_iter()
            .find(|socket| UnixStream::connect(socket).is_ok()))
    })
    .with_context(|| compositor.log_tail())?;
    symlink(socket, relayed.socket()).context("socket")?;
    relayed.compositor = Some(compositor);
    relayed.start_relay(&["--labels=require"])
}

/// A window of each VM.
fn windows(relayed: &Relayed) -> Result<Vec<Talk>> {
    let expected = relayed.chain.paths().dir().join("expected.png");
    VMS.iter()
        .map(|vm| stepping(&relayed.chain, relayed.chain.app(vm), &expected))
        .collect()
}

#[test]
#[ignore = "needs sway 1.11 in VIRTIO_WL_TEST_ROOT"]
fn sway_shows_the_colour_and_the_name_of_a_windows_vm() -> Result<()> {
    let Some(root) = root("sway_shows_the_colour_and_the_name_of_a_windows_vm") else {
        return Ok(());
    };
    let mut relayed = Relayed::prepare()?;
    let line = format!(
        "sway --config {}",
        example(&relayed, "sway/config")?.display()
    );
    let command = elsewhere(&relayed, &root, "sway", &line);
    start(&mut relayed, command)?;
    let windows = windows(&relayed)?;
    for colour in [[0x2e, 0x7d, 0x32], [0xc6, 0x28, 0x28]] {
        wait::until("the colour of a VM", Deadline::step(), || {
            Ok((picture(&relayed, &root)?.count(colour) > 200).then_some(()))
        })?;
    }
    for mut window in windows {
        window.process().stop()?;
    }
    relayed.stop()
}

#[test]
#[ignore = "needs labwc 0.8.2 in VIRTIO_WL_TEST_ROOT"]
fn labwc_keeps_the_windows_of_each_vm_on_a_desktop_of_its_own() -> Result<()> {
    let Some(root) = root("labwc_keeps_the_windows_of_each_vm_on_a_desktop_of_its_own") else {
        return Ok(());
    };
    let mut relayed = Relayed::prepare()?;
    let rules = example(&relayed, "labwc/rc.xml")?;
    let directory = rules.parent().context("directory")?;
    let line = format!("labwc -C {}", directory.display());
    let command = elsewhere(&relayed, &root, "labwc", &line);
    start(&mut relayed, command)?;
    let mut windows = Vec::new();
    for vm in VMS {
        let client = relayed
            .chain
            .test_client(relayed.chain.app(vm), "pattern-client")?;
        windows.push(
            client
                .args(["--width=200", "--height=150", "--step"])
                .talk()?,
        );
    }
    for (vm, window) in VMS.iter().zip(&mut windows) {
        let command = elsewhere(&relayed, &root, "wtype", "wtype -M ctrl -M alt -k Right");
        let (status, said) = command.env("WAYLAND_DISPLAY", relayed.socket()).run()?;
        ensure!(status.success(), "wtype: {status}\n{said}");
        // Frames are asked for where they can be seen.
        ensure!(
            window.line()? == "frame 0",
            "the window of {vm} is not on its desktop"
        );
        picture(&relayed, &root)?;
    }
    for window in &mut windows {
        window.process().stop()?;
    }
    relayed.stop()
}
