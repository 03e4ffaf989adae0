//! Root file systems of Debian, made once and kept as archives; nothing is mounted.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::apt::sources;
use super::cache::Cache;
use super::digest::Digest;
use super::tool;

/// No file is newer than this, in seconds since 1970: the day is of no meaning, but always the same.
pub(crate) const EPOCH: u32 = 1_735_689_600;
/// What a guest has no use for.
const EXCLUDED: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// What a Debian system consists of.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// The release, by its name.
    pub(crate) suite: &'static str,
    /// Packages, besides those that every Debian has.
    pub(crate) packages: Vec<String>,
    /// A shell script that finishes it; its first argument is the new system's directory.
    pub(crate) setup: String,
}

impl System {
    /// Its archive, made when there is none yet of the same system. Which versions its packages have
    /// was decided when it was made.
    ///
    /// # Errors
    /// As for [`Self::make`].
    pub(crate) fn archive(&self, cache: &Cache) -> Result<PathBuf> {
        let name = format!("debian/{}.tar", self.id());
        cache.once(&name, |file| self.make(file))
    }

    /// A name that tells systems apart.
    fn id(&self) -> String {
        let mut digest = Digest::new();
        for part in [self.suite, &self.setup]
            .into_iter()
            .chain(EXCLUDED.iter().copied())
        {
            digest.add("part", part);
        }
        for package in &self.packages {
            digest.add("package", package);
        }
        let mut id = digest.finish();
        id.truncate(16);
        id
    }

    /// Makes its archive from the newest packages of the mirror, as root or not. The same versions
    /// give the same bytes.
    ///
    /// # Errors
    /// When mmdebstrap is missing or fails, for example without a network.
    pub(crate) fn make(&self, file: &Path) -> Result<()> {
        println!("     making a root file system of Debian (some minutes, once) ...");
        let mirror = sources::mirror();
        let mut command = tool::administrative("mmdebstrap");
        command.env("SOURCE_DATE_EPOCH", EPOCH.to_string());
        command.env("LC_ALL", "C.UTF-8");
        command.args(["--quiet", "--format=tar", "--variant=minbase"]);
        command.args(["--architectures=amd64", "--components=main"]);
        command.arg(if nix::unistd::geteuid().is_root() {
            "--mode=root"
        } else {
            "--mode=unshare"
        });
        // Device nodes are the kernel's; maintainer scripts of these packages need no /proc.
        command.arg("--skip=chroot/mount,output/dev,check/empty");
        command.arg(format!("--include={}", self.packages.join(",")));
        command.arg("--aptopt=APT::Install-Recommends \"false\"");
        for path in EXCLUDED {
            command.arg(format!("--dpkgopt=path-exclude={path}"));
        }
        // What is half-written after a crash is thrown away anyway.
        command.arg("--dpkgopt=force-unsafe-io");
        command.arg(format!("--customize-hook={}", self.setup));
        let suite = self.suite;
        command.arg(suite).arg(file);
        for suite in [suite.to_owned(), format!("{suite}-updates")] {
            command.arg(format!("deb {mirror} {suite} main"));
        }
        tool::output(&mut command).with_context(|| {
            let advice = if nix::unistd::geteuid().is_root() {
                ""
            } else {
                "; without root, mmdebstrap needs user namespaces, and a line for the user in /etc/subuid and /etc/subgid"
            };
            format!("cannot make a root file system from {mirror} (is there a network?{advice})")
        })?;
        Ok(())
    }
}
