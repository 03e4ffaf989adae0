//! `sommelier PROGRAM` ends as the program does, as a shell would tell it.

use anyhow::{Result, ensure};
use integration_tests::Chain;

fn status_of(script: &str) -> Result<Option<i32>> {
    let chain = Chain::builder()?.vm("personal", "#2e7d32").start()?;
    let command = chain.sommelier(chain.app("personal"), "sh")?;
    let (status, _) = command.args(["sh", "-c", script]).run()?;
    chain.stop()?;
    Ok(status.code())
}

#[test]
fn success_is_success() -> Result<()> {
    ensure!(status_of("exit 0")? == Some(0));
    Ok(())
}

#[test]
fn a_status_is_handed_on() -> Result<()> {
    ensure!(status_of("exit 7")? == Some(7));
    Ok(())
}

#[test]
fn death_by_a_signal_is_128_and_its_number() -> Result<()> {
    ensure!(status_of("kill -KILL $$")? == Some(128 + 9));
    Ok(())
}

#[test]
fn a_program_that_does_not_exist_is_127() -> Result<()> {
    let chain = Chain::builder()?.vm("personal", "#2e7d32").start()?;
    let command = chain.sommelier(chain.app("personal"), "missing")?;
    let (status, log) = command.arg("no-such-program").run()?;
    ensure!(status.code() == Some(127), "{status}");
    ensure!(
        log.contains("no-such-program"),
        "the message does not name it: {log}"
    );
    chain.stop()
}
