//! Two app VMs flood the compositor at once: a third VM's window still gets its frames.

use anyhow::{Result, ensure};
use integration_tests::vm::VmChain;
use vm_tests::scene::{PERSONAL, WORK};

const THIRD: (&str, &str) = ("third", "#1565c0");
/// Commits of each flood: more than it can get rid of while the third draws.
const FLOOD: &str = "--count=100000000";
/// Frames of the third window.
const FRAMES: u32 = 30;

#[test]
fn two_vms_that_flood_do_not_stop_the_third_ones_frames() -> Result<()> {
    let Some(builder) = VmChain::for_test()? else {
        return Ok(());
    };
    let builder = builder.app(PERSONAL.0, PERSONAL.1).app(WORK.0, WORK.1);
    let chain = builder.app(THIRD.0, THIRD.1).start()?;
    let screen = chain.screen()?;
    let mut floods = Vec::new();
    for vm in [PERSONAL.0, WORK.0] {
        floods.push(
            chain
                .app(vm)?
                .run(["hostile-client", "commit-flood", FLOOD])?,
        );
        screen.ctl().wait_windows(vm, 1)?;
    }
    let frames = format!("--frames={FRAMES}");
    let window = ["--width=200", "--height=150", "--step", &frames];
    let third = chain
        .app(THIRD.0)?
        .run(["pattern-client"].into_iter().chain(window))?;
    for frame in 0..=FRAMES {
        let line = third.line()?;
        ensure!(line == format!("frame {frame}"), "{line}");
        third.input("next\n")?;
    }
    screen.ctl().wait_title(THIRD.0, "pattern done")?;
    for flood in &floods {
        ensure!(
            flood.is_running()?,
            "the flood was over too soon:\n{}",
            flood.story()
        );
    }
    for flood in floods {
        flood.signal(nix::sys::signal::Signal::SIGKILL)?;
        flood.wait()?;
    }
    chain.stop()
}
