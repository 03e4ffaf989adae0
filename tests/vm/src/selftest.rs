//! The self-test of the driver, in a guest, and its peers on the host.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::dir::TestDir;
use integration_tests::process::{Command, Daemon};
use integration_tests::vm::{Assets, Image, Vm, VmBuilder};

use crate::tap::Results;

/// How long it may take, on an emulated processor that others want as well. Only bounds a hang.
const LIMIT: Duration = Duration::from_secs(500);

/// The contexts the peer serves: file name, and what makes it the context's.
const CONTEXTS: [(&str, &str); 3] = [
    ("echo", ""),
    ("stuck", ",name=stuck"),
    ("host", ",name=host"),
];

/// The process on the host that the self-test talks to.
#[derive(Debug)]
pub struct Peer {
    dir: TestDir,
    daemon: Daemon,
}

impl Peer {
    /// Starts it.
    ///
    /// # Errors
    /// When it is not there or does not get ready.
    pub fn start(assets: &Assets) -> Result<Self> {
        let dir = TestDir::new()?;
        let binary = assets.binaries().path("selftest-peer")?;
        let daemon = Command::new("selftest-peer", binary, dir.path())
            .arg(dir.path())
            .spawn_ready()?;
        Ok(Self { dir, daemon })
    }

    /// The arguments of a `vhost-device-wl` that has its contexts.
    pub fn device_args(&self) -> Vec<String> {
        let context = |(file, name): (&str, &str)| {
            let socket = self.dir.join(format!("{file}.sock"));
            [
                "--wayland-sock".to_owned(),
                format!("{}{name}", socket.display()),
            ]
        };
        CONTEXTS.into_iter().flat_map(context).collect()
    }

    /// A VM of `image` whose device has its contexts, and these further arguments.
    pub fn vm(&self, assets: &Assets, image: Image, further: &[String]) -> VmBuilder {
        let args = self
            .device_args()
            .into_iter()
            .chain(further.iter().cloned());
        args.fold(Vm::builder(assets, image), VmBuilder::device_arg)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self) -> Result<()> {
        // It knows no signals: it ends by SIGTERM itself.
        self.daemon.stop().map(drop)
    }
}

/// Runs `virtio-wl-selftest` as root; none of its tests may fail.
///
/// # Errors
/// When one fails, or none has passed; with what was said of it.
pub fn run_possible(vm: &Vm, args: &[&str]) -> Result<Results> {
    let argv = std::iter::once("virtio-wl-selftest").chain(args.iter().copied());
    let program = vm.command(argv).root().start()?;
    let status = program.wait_within(LIMIT)?;
    let results = Results::parse(&program.output().stdout)?;
    ensure!(
        status.success() && results.failed.is_empty(),
        "{status:?}, failed: {:#?}\n{}",
        results.failed,
        program.story()
    );
    ensure!(results.passed > 0, "no test of that name: {args:?}");
    Ok(results)
}

/// The same; each of its tests must also be tried.
///
/// # Errors
/// When one fails or is skipped, or there is none.
pub fn run(vm: &Vm, args: &[&str]) -> Result<Results> {
    let results = run_possible(vm, args)?;
    ensure!(
        results.skipped.is_empty(),
        "skipped: {:#?}",
        results.skipped
    );
    Ok(results)
}
