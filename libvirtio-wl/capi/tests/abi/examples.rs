//! The programs of `examples/`: one in the place of the compositor, the others in two app VMs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{Binaries, Chain, Command, TestDir};

use crate::compile::{self, Link};

/// A text of several messages.
const LONG: usize = 20_000;

fn example(name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let source = root.join(name).with_extension("c");
    compile::program(name, &[source], &[], Link::Shared)
}

/// Runs a client in an app VM; what it printed.
fn run(chain: &Chain, vm: &str, program: &Path, text: &str) -> Result<String> {
    let dir = TestDir::new()?;
    let (status, said) = Command::new(format!("echo-{vm}"), program, dir.path())
        .env("VIRTIO_WL_DEVICE", chain.app(vm).device())
        .arg(text)
        .run()?;
    ensure!(status.success(), "{}: {status}\n{said}", program.display());
    Ok(said)
}

#[test]
fn echo_between_virtual_machines() -> Result<()> {
    let chain = Chain::builder()?
        .vm("personal", "#2e7d32")
        .vm("work", "#c62828")
        .start_host()?;
    let device = chain.paths().device(integration_tests::chain::COMPOSITOR);
    let mut accept_loop = Command::new("accept-loop", example("accept-loop")?, chain.log_dir())
        .env(
            "VIRTIO_WL_DEVICE",
            format!("vhost-user:{}", device.display()),
        )
        .talk()?;
    ensure!(accept_loop.line()? == "listening");
    let rust = Binaries::beside_this_one()?.path("wl-echo")?;
    for program in [example("echo")?, rust] {
        for (vm, colour) in [("personal", "#2e7d32"), ("work", "#c62828")] {
            for text in ["hello", &"long ".repeat(LONG / 5)] {
                let said = run(&chain, vm, &program, text)?;
                ensure!(said == format!("{text}\n"), "{said:?}");
                let who = accept_loop.line()?;
                ensure!(who.starts_with(vm) && who.contains(colour), "{who}");
            }
        }
    }
    drop(accept_loop);
    chain.stop().context("the chain")
}
