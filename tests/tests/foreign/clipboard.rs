//! One clipboard for all that a foreign compositor serves, as its users expect.

use anyhow::{Context as _, Result, ensure};
use integration_tests::foreign::{Foreign, Kind};
use integration_tests::wait::{self, Deadline};

use crate::{PERSONAL, WORK, start};

/// From one byte to many times what a pipe, a message or a queue holds.
const SIZES: [usize; 4] = [1, 64 << 10, 1 << 20, 16 << 20];

const TYPE: &str = "application/x-test";

pub(crate) fn between_vms_and_to_a_local_program(kind: Kind, test: &str) -> Result<()> {
    if !kind.is_installed(test) {
        return Ok(());
    }
    let foreign = start(kind)?;
    for size in SIZES {
        // Different for each size, and of no period that a lost or repeated page would hide.
        let data: Vec<u8> = (0..size)
            .map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(size) >> 13) as u8)
            .collect();
        let dir = foreign.apps.paths().dir();
        let source = dir.write("source", &data)?;
        let script = format!(
            "exec wl-copy --foreground --type {TYPE} < {}",
            source.display()
        );
        let mut copy = foreign
            .client(Some(PERSONAL), "copy", "sh")?
            .args(["-c", &script])
            .spawn()?;
        for reader in [Some(WORK), None] {
            let pasted = paste(&foreign, reader, &data)
                .with_context(|| format!("{size} bytes to {reader:?}\n{}", copy.log_tail()))?;
            ensure!(pasted == data, "{size} bytes to {reader:?} differ");
        }
        copy.stop()?;
    }
    foreign.stop()
}

/// What a program gets, once it is as much as was copied: before the copying program has the
/// focus, there is nothing or what was copied before.
fn paste(foreign: &Foreign, vm: Option<&str>, expected: &[u8]) -> Result<Vec<u8>> {
    let target = foreign.apps.paths().dir().join("target");
    let script = format!(
        "exec wl-paste --no-newline --type {TYPE} > {}",
        target.display()
    );
    wait::until("the clipboard to be offered", Deadline::step(), || {
        let command = foreign.client(vm, "paste", "sh")?.args(["-c", &script]);
        let (status, _) = command.run()?;
        let pasted = std::fs::read(&target)?;
        Ok((status.success() && pasted.len() == expected.len()).then_some(pasted))
    })
}
