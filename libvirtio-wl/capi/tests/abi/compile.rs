//! Compiling C programs against what is installed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::installed::Installed;

/// Nothing that a strict user's compiler says anything about.
pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// How a program is linked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// With `libvirtio_wl.so.1`.
    Shared,
    /// With `libvirtio_wl.a`.
    Static,
}

/// A source file of `tests/c`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/c")
        .join(name)
}

/// Runs a compiler; it must have nothing to say.
pub(crate) fn run(mut compiler: Command) -> Result<()> {
    let output = compiler.output().with_context(|| format!("{compiler:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{compiler:?}:\n{said}");
    ensure!(said.is_empty(), "{compiler:?}:\n{said}");
    Ok(())
}

/// Compiles C11 `sources` into a program called `name`, with what pkg-config says and nothing else.
pub(crate) fn program<S: AsRef<OsStr>>(
    name: &str,
    sources: &[S],
    options: &[&str],
    link: Link,
) -> Result<PathBuf> {
    let installed = Installed::get()?;
    let program = installed.path(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-g", "-O1", "-pthread"])
        .args(WARNINGS)
        .args(options);
    cc.args(sources).arg("-o").arg(&program);
    match link {
        Link::Shared => {
            cc.args(installed.pkg_config(&["--cflags", "--libs"])?);
            let mut rpath = OsString::from("-Wl,-rpath,");
            rpath.push(installed.path("lib"));
            cc.arg(rpath);
        }
        Link::Static => {
            cc.args(installed.pkg_config(&["--cflags"])?);
            let libs = installed.pkg_config(&["--static", "--libs"])?;
            // The linker takes the shared library where it finds both.
            cc.args(libs.into_iter().map(|arg| match arg.to_str() {
                Some("-lvirtio_wl") => OsString::from("-l:libvirtio_wl.a"),
                _ => arg,
            }));
        }
    }
    run(cc)?;
    Ok(program)
}
