//! A deterministic client's frames arrive whole: partial damage, several buffers, a growing pool.

use std::path::Path;

use anyhow::Result;
use integration_tests::{Chain, Picture};

const FRAMES: u32 = 12;

fn output_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures")
}

#[test]
fn every_frame_of_a_full_hd_pattern_arrives_intact() -> Result<()> {
    let chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .size(2000, 1200)
        .start()?;
    let ctl = chain.ctl()?;
    let dir = chain.paths().dir();
    let vm = chain.app("personal");
    let expected = dir.join("expected.png");
    let client = chain.test_client(vm, "pattern-client")?.arg("--step");
    let client = client
        .arg(format!("--frames={FRAMES}"))
        .option("--expected", &expected);
    let mut client = client.talk()?;
    for frame in 0..=FRAMES {
        assert_eq!(client.line()?, format!("frame {frame}"));
        let window = ctl.wait_title(vm.name(), "pattern")?.content()?;
        assert_eq!((window.width, window.height), (1920, 1080));
        let screen = ctl.picture(&dir.join("screen.png"))?;
        let seen = screen.crop(window.x, window.y, window.width, window.height)?;
        let name = format!("pattern-{frame}");
        Picture::read(&expected)?.expect_equal(&seen, &name, &output_dir())?;
        if frame < FRAMES {
            client.say("next")?;
        }
    }
    client.process().stop()?;
    chain.stop()
}

#[test]
fn many_frames_without_a_pause_leave_the_right_picture() -> Result<()> {
    let chain = Chain::builder()?.vm("work", "#c62828").start()?;
    let ctl = chain.ctl()?;
    let dir = chain.paths().dir();
    let expected = dir.join("expected.png");
    let client = chain.test_client(chain.app("work"), "pattern-client")?;
    let client = client.args(["--width=803", "--height=601", "--frames=300"]);
    let mut client = client.option("--expected", &expected).talk()?;
    let window = ctl.wait_title("work", "pattern done")?.content()?;
    let screen = ctl.picture(&dir.join("screen.png"))?;
    let seen = screen.crop(window.x, window.y, window.width, window.height)?;
    Picture::read(&expected)?.expect_equal(&seen, "pattern-last", &output_dir())?;
    client.process().stop()?;
    chain.stop()
}
