//! What images are made from.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use integration_tests::Binaries;

use crate::cargo::{self, Profile};
use crate::vm::cache::{self, Cache};
use crate::vm::guest_programs::GuestPrograms;
use crate::vm::kernel::{Kernel, Version};
use crate::vm::{module, tool};

/// What images are made from: kernel, our module, our programs.
#[derive(Debug)]
pub(crate) struct Inputs {
    cache: Cache,
    profile: Profile,
    kernel: Kernel,
    module: PathBuf,
    guests: GuestPrograms,
    host: OnceCell<Binaries>,
}

impl Inputs {
    /// Fetches and builds what every image needs.
    ///
    /// # Errors
    /// When something cannot be fetched or built.
    pub(crate) fn prepare(cache: Cache, profile: Profile, version: Version) -> Result<Self> {
        let kernel = Kernel::ensure(&cache, version)?;
        let module = module::build(&cache, &kernel)?;
        let guests = GuestPrograms::build(&cache, profile)?;
        Ok(Self::new(cache, profile, kernel, module, guests))
    }

    /// Of what is there already; only programs of the host are still built, as `profile` says.
    pub(super) fn new(
        cache: Cache,
        profile: Profile,
        kernel: Kernel,
        module: PathBuf,
        guests: GuestPrograms,
    ) -> Self {
        Self {
            cache,
            profile,
            kernel,
            module,
            guests,
            host: OnceCell::new(),
        }
    }

    /// Where things are kept.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Our module.
    pub(crate) fn module(&self) -> &Path {
        &self.module
    }

    /// A statically linked program of ours.
    ///
    /// # Errors
    /// When it was not built.
    pub(crate) fn guest_program(&self, name: &str) -> Result<Vec<u8>> {
        self.stripped(&self.guests.path(name))
    }

    /// The programs linked against this machine's libraries, built when first asked for.
    ///
    /// # Errors
    /// When they do not build.
    pub(crate) fn host_programs(&self) -> Result<&Binaries> {
        if let Some(built) = self.host.get() {
            return Ok(built);
        }
        let built = cargo::build(self.profile)?;
        Ok(self.host.get_or_init(|| built))
    }

    /// A shared library of ours, for guests whose C library is not older than this machine's.
    ///
    /// # Errors
    /// When it does not build.
    pub(crate) fn library(&self, package: &str) -> Result<Vec<u8>> {
        self.stripped(&cargo::build_library(self.profile, package)?)
    }

    /// A program without its debugging data, which is most of it; the names of functions stay.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn stripped(&self, program: &Path) -> Result<Vec<u8>> {
        let place = self.cache.own("stripped");
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg("-o").arg(&place);
        tool::output(strip.arg(program))?;
        let bytes = cache::read(&place)?;
        cache::remove(&place)?;
        Ok(bytes)
    }
}
