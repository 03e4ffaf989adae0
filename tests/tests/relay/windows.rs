//! What passes arrives as it was sent: pictures exactly, keymaps once for each client.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::Picture;

use crate::setup::{RELAYED, Relayed};

/// Frames of a window, after the first.
const FRAMES: u32 = 6;

#[test]
fn every_frame_of_a_full_hd_window_arrives_intact() -> Result<()> {
    let relayed = Relayed::ours_with(&["--size", "2000x1200"])?;
    let (chain, ctl) = (&relayed.chain, relayed.ctl()?);
    let dir = chain.paths().dir();
    let expected = dir.join("expected.png");
    let client = chain.test_client(chain.app("work"), "pattern-client")?;
    let client = client.arg("--step").arg(format!("--frames={FRAMES}"));
    let mut client = client.option("--expected", &expected).talk()?;
    for frame in 0..=FRAMES {
        ensure!(client.line()? == format!("frame {frame}"), "lost a frame");
        let window = ctl.wait_title(RELAYED, "pattern")?.content()?;
        let screen = ctl.picture(&dir.join("screen.png"))?;
        let seen = screen.crop(window.x, window.y, window.width, window.height)?;
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        Picture::read(&expected)?.expect_equal(&seen, &format!("relay-{frame}"), &out)?;
        if frame < FRAMES {
            client.say("next")?;
        }
    }
    client.process().stop()?;
    relayed.stop()
}

#[test]
fn each_client_has_a_keymap_of_its_own() -> Result<()> {
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    let mut clients = Vec::new();
    let mut seen = Vec::new();
    for vm in ["personal", "personal", "work"] {
        let mut client = chain.test_client(chain.app(vm), "keymap-client")?.talk()?;
        let line = client.line().context("keymap")?;
        ensure!(line.contains(r#""is_keymap":true"#), "{line}");
        seen.push(line);
        clients.push(client);
    }
    let inode = |line: &str| {
        line.split_once(r#""inode":"#)
            .and_then(|(_, rest)| rest.split_once(','))
            .map(|(inode, _)| inode.to_owned())
    };
    let mut inodes: Vec<_> = seen.iter().map(|line| inode(line)).collect();
    inodes.sort();
    inodes.dedup();
    ensure!(inodes.len() == 3, "clients share a keymap: {seen:?}");
    for mut client in clients {
        client.finish()?;
    }
    relayed.stop()
}

#[test]
fn connections_come_and_go_and_nothing_is_left() -> Result<()> {
    let relayed = Relayed::ours()?;
    let chain = &relayed.chain;
    chain.works(chain.app("personal"))?;
    let relay = relayed.relay.as_ref().context("running")?;
    let descriptors = || {
        let path = format!("/proc/{}/fd", relay.pid());
        std::fs::read_dir(path).map(Iterator::count)
    };
    let before = descriptors().context("descriptors")?;
    for _ in 0..20 {
        chain.works(chain.app("work"))?;
    }
    // The last one may still be on its way out.
    integration_tests::wait::until(
        "the descriptors to be closed",
        integration_tests::wait::Deadline::step(),
        || Ok((descriptors().context("descriptors")? <= before).then_some(())),
    )?;
    relayed.stop()
}
