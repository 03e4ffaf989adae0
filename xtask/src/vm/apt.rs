//! Packages from Debian's archive, without touching the system's apt: own lists, own state, own
//! downloads. Works for every user.
//!
//! Nothing unverified is ever returned: apt checks the signature of each release file against the
//! archive's keys, and each package against the release file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cache;
use super::tool;

pub(crate) mod control;
pub(crate) mod sources;
#[cfg(test)]
mod tests;

use control::Stanza;

/// The keys of Debian's archive; package `debian-archive-keyring`.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt of our own.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Sets up an apt that knows the `main` component of `suites`, in `dir`, and fetches its lists.
    ///
    /// # Errors
    /// When apt or the archive's keys are missing, or the lists cannot be fetched.
    pub(crate) fn open(dir: &Path, suites: &[&str]) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing (Debian package debian-archive-keyring): packages cannot be verified"
        );
        for part in ["lists/partial", "cache/archives/partial"] {
            cache::create_dir(&dir.join(part))?;
        }
        let mirror = sources::mirror();
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n"))
            .collect();
        cache::write(&dir.join("sources.list"), sources)?;
        cache::write(&dir.join("status"), "")?;
        cache::write(&dir.join("apt.conf"), configuration(dir)?)?;
        let apt = Self {
            dir: dir.to_owned(),
        };
        tool::output(apt.command("apt-get").arg("update")).with_context(|| {
            format!("cannot fetch the package lists of {mirror} (is there a network?)")
        })?;
        Ok(apt)
    }

    /// What the archive says about the newest version of a package in a suite.
    ///
    /// # Errors
    /// When there is no such package.
    pub(crate) fn show(&self, suite: &str, package: &str) -> Result<Stanza> {
        let mut command = self.command("apt-cache");
        command.args(["show", "--no-all-versions", "--target-release", suite]);
        let text = tool::text(command.arg(package))
            .with_context(|| format!("no package {package} in {suite}"))?;
        let stanza = control::stanzas(&text).into_iter().next();
        stanza.with_context(|| format!("no package {package} in {suite}"))
    }

    /// Downloads packages, without what they depend on.
    ///
    /// # Errors
    /// When one does not exist, cannot be fetched or is not what the archive signed.
    pub(crate) fn download(&self, suite: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let archives = self.archives();
        let command = || {
            let mut command = self.command("apt-get");
            command.args(["download", "--target-release", suite]);
            command.current_dir(&archives).args(packages);
            command
        };
        let names = file_names(&tool::text(command().arg("--print-uris"))?);
        // Under the name that the list gives, so that one download serves several runs.
        if !names.iter().all(|name| archives.join(name).exists()) {
            tool::output(&mut command())?;
        }
        self.all_there(&names)
    }

    /// Downloads a package and all that it depends on.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub(crate) fn download_closure(&self, suite: &str, package: &str) -> Result<Vec<PathBuf>> {
        let command = || {
            let mut command = self.command("apt-get");
            command.args(["install", "--yes", "--download-only"]);
            command.args(["--target-release", suite, package]);
            command
        };
        // Asked first: what is already there is left out of the answer.
        tool::output(command().arg("--quiet"))?;
        let wanted = tool::text(command().args(["--simulate", "--quiet"]))?;
        let names = installed(&wanted);
        let archives = fs::read_dir(self.archives()).context("downloaded packages")?;
        let files: Vec<PathBuf> = archives
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "deb"))
            .filter(|path| names.contains(&name_and_version(path)))
            .collect();
        ensure!(
            files.len() == names.len(),
            "of {} packages only {} were downloaded",
            names.len(),
            files.len()
        );
        Ok(files)
    }

    fn all_there(&self, names: &[String]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in names {
            let file = self.archives().join(name);
            ensure!(file.exists(), "{} was not downloaded", file.display());
            files.push(file);
        }
        ensure!(!files.is_empty(), "apt names no file to download");
        Ok(files)
    }

    fn archives(&self) -> PathBuf {
        self.dir.join("cache/archives")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--config-file").arg(self.dir.join("apt.conf"));
        // Words of apt are read.
        command.env("LC_ALL", "C.UTF-8");
        command
    }
}

/// apt's settings. They come after those of the machine, so that its proxy stays in effect, but its
/// hooks, which concern the system's packages, do not.
fn configuration(dir: &Path) -> Result<String> {
    let dir = dir.to_str().context("the path of the cache is not UTF-8")?;
    ensure!(
        !dir.contains(['"', '\\']),
        "the path of the cache has characters that apt does not take"
    );
    Ok(format!(
        r#"#clear APT::Update;
#clear DPkg::Pre-Install-Pkgs;
#clear Acquire::IndexTargets::deb::DEP-11;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Cache "{dir}/cache";
Dir::Cache::archives "archives";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Dir::Log "{dir}";
Dir::State "{dir}";
Dir::State::lists "{dir}/lists";
Dir::State::status "{dir}/status";
"#
    ))
}

/// The file names in what `--print-uris` prints: `'URI' NAME SIZE HASH` on each line.
fn file_names(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('\''));
    lines
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

/// Name and version of each package in what `--simulate` prints: `Inst NAME (VERSION …` on each line.
fn installed(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines
        .filter_map(|line| {
            let (name, rest) = line.split_once(' ')?;
            let version = rest.split_once('(')?.1.split_whitespace().next()?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// Name and version in the name of a package's file, `NAME_VERSION_ARCH.deb`, where `:` is written
/// `%3a`.
fn name_and_version(file: &Path) -> (String, String) {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut parts = stem.split('_').map(|part| part.replace("%3a", ":"));
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}
