//! The clipboard of Debian's compositors: from one app VM to another, to the compositor's own VM, and
//! back, every byte.

use anyhow::{Context as _, Result, ensure};
use integration_tests::vm::Vm;
use vm_tests::foreign;
use vm_tests::scene::{PERSONAL, WORK};

/// What is copied, in bytes: next to nothing, a pipe's worth, and much more.
const SIZES: [usize; 4] = [1, 64 << 10, 1 << 20, 16 << 20];

/// Puts random bytes into the clipboard; their digest.
const COPY: &str = r#"
    set -e
    head -c "$0" /dev/urandom >/tmp/copied
    sha256sum </tmp/copied
    exec wl-copy --type application/octet-stream </tmp/copied >/dev/null 2>/tmp/wl-copy.log"#;
/// Takes what is in the clipboard; its digest.
const PASTE: &str = r"
    wl-paste --no-newline --type application/octet-stream >/tmp/pasted || exit
    wc -c </tmp/pasted >&2
    exec sha256sum </tmp/pasted";

fn copy(vm: &Vm, size: usize) -> Result<String> {
    let program = vm.run(["sh", "-c", COPY, &size.to_string()])?;
    Ok(program.success()?.stdout)
}

fn paste(vm: &Vm) -> Result<(String, String)> {
    let output = vm.run(["sh", "-c", PASTE])?.success()?;
    Ok((output.stdout, output.stderr))
}

fn carries_every_byte(compositor: &str) -> Result<()> {
    let Some(chain) = foreign::start(compositor, |builder| builder)? else {
        return Ok(());
    };
    let (a, b) = (chain.app(PERSONAL.0)?, chain.app(WORK.0)?);
    let local = chain.compositor()?;
    for (from, others, name) in [
        (a, &[b, local][..], "an app VM"),
        (local, &[a], "the compositor's VM"),
    ] {
        for size in SIZES {
            let what = format!("{size} bytes of {name}");
            let copied = copy(from, size).with_context(|| format!("copying {what}"))?;
            for to in others {
                let (pasted, told) = paste(to).with_context(|| format!("pasting {what}"))?;
                ensure!(
                    pasted == copied,
                    "of {what}, pasted in {}: {}",
                    to.qemu().name(),
                    told.trim()
                );
            }
        }
    }
    chain.stop()
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn labwc_carries_every_byte() -> Result<()> {
    carries_every_byte("labwc")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn sway_carries_every_byte() -> Result<()> {
    carries_every_byte("sway")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn weston_carries_every_byte() -> Result<()> {
    carries_every_byte("weston")
}

#[test]
#[ignore = "full set: cargo xtask test --ring vm --all"]
fn cage_carries_every_byte() -> Result<()> {
    carries_every_byte("cage")
}
