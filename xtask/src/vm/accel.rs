//! How the instructions of virtual machines run: by the hardware where that works, emulated elsewhere.
//!
//! That `/dev/kvm` is there proves nothing: on some hosts a guest is created and never gets past its
//! firmware. So a guest is booted once, and the answer is kept for this kernel of the host.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use integration_tests::vm::qemu::{ACCEL_VARIABLE, Accel as Kind};
use integration_tests::vm::{Assets, Image as Guest, Vm};

use super::VmFiles;
use crate::cargo::{self, Profile};

/// How virtual machines run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Accel {
    /// By the hardware if a guest boots that way, otherwise emulated
    Auto,
    /// By the hardware
    Kvm,
    /// Emulated
    Tcg,
}

/// A guest boots in a second or two by the hardware.
const PATIENCE: Duration = Duration::from_secs(20);

impl Accel {
    /// What to do here: `kvm` or `tcg`, the value for [`ACCEL_VARIABLE`]. An explicit choice of
    /// that variable counts when the command line makes none.
    ///
    /// # Errors
    /// When the variable has another value, or the directory for the answer cannot be written.
    pub(crate) fn resolve(self, files: &VmFiles) -> Result<&'static str> {
        let chosen = match (self, std::env::var(ACCEL_VARIABLE).ok().as_deref()) {
            (Self::Auto, Some("kvm")) => Self::Kvm,
            (Self::Auto, Some("tcg")) => Self::Tcg,
            (Self::Auto, Some("auto" | "") | None) => Self::Auto,
            (Self::Auto, Some(other)) => bail!("{ACCEL_VARIABLE}={other}: not auto, kvm or tcg"),
            (explicit, _) => explicit,
        };
        match chosen {
            Self::Kvm => Ok("kvm"),
            Self::Tcg => Ok("tcg"),
            Self::Auto => detect(files),
        }
    }
}

fn detect(files: &VmFiles) -> Result<&'static str> {
    let release = nix::sys::utsname::uname().context("uname")?;
    let release = release.release().to_string_lossy().into_owned();
    let place = files.images.join("accel");
    let known = fs::read_to_string(&place).unwrap_or_default();
    for answer in ["kvm", "tcg"] {
        if known == format!("{release} {answer}") {
            return Ok(answer);
        }
    }
    let answer = if kvm_boots()? { "kvm" } else { "tcg" };
    println!(
        "     virtual machines run by {answer} here (to find out again, remove {})",
        place.display()
    );
    fs::write(&place, format!("{release} {answer}")).context("answer about KVM")?;
    Ok(answer)
}

/// Whether a guest boots by the hardware.
fn kvm_boots() -> Result<bool> {
    let device = fs::File::options().read(true).write(true).open("/dev/kvm");
    if device.is_err() {
        return Ok(false);
    }
    super::ensure(&[super::Image::Bare], Profile::Debug)?;
    let assets = Assets::with(integration_tests::Binaries::in_dir(
        cargo::target_dir()?.join("debug"),
    ))?;
    let builder = Vm::builder(&assets, Guest::Bare).without_device();
    let vm = builder.accel(Kind::Kvm).life(PATIENCE).quiet().start();
    if let Err(error) = &vm {
        println!("     no guest boots by /dev/kvm here: {error:#}");
    }
    Ok(vm.and_then(Vm::kill).is_ok())
}
