//! The versions of libwayland-server that servers run with.

use std::path::{Path, PathBuf};

use anyhow::Result;
use integration_tests::{Binaries, Command, skip};

use crate::server::Settings;

/// A libwayland-server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Libwayland {
    /// That of this machine: 1.21 with Debian 12.
    Installed,
    /// That of Debian 13: 1.23.
    Trixie,
    /// That of Debian's next: 1.26 or newer.
    Sid,
}

impl Libwayland {
    /// Its root directory below `target/vm`, with a loader and a C library; none for the installed one.
    fn root(self, binaries: &Binaries) -> Option<PathBuf> {
        let name = match self {
            Self::Installed => return None,
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        };
        let target = binaries.dir().parent()?;
        Some(target.join("vm/libwayland").join(name))
    }

    /// A program with this library. It is linked to the installed one, which has all that it uses.
    pub(crate) fn command(self, program: &Path, binaries: &Binaries, logs: &Path) -> Command {
        match self.root(binaries) {
            None => Command::new("server", program, logs),
            Some(root) => {
                let loader = root.join("usr/lib64/ld-linux-x86-64.so.2");
                Command::new("server", loader, logs)
                    .option("--library-path", root.join("usr/lib/x86_64-linux-gnu"))
                    .arg(program)
            }
        }
    }
}

/// Runs a test with this version; says so if it is not there.
pub(crate) fn run(
    name: &str,
    libwayland: Libwayland,
    test: impl FnOnce(Settings) -> Result<()>,
) -> Result<()> {
    let root = libwayland.root(&Binaries::beside_this_one()?);
    if root.is_some_and(|root| !root.exists()) {
        skip::skip(name, "not fetched (cargo xtask test --ring processes)");
        return Ok(());
    }
    test(Settings::of(libwayland))
}

/// Makes each function a test with each version of libwayland.
#[macro_export]
macro_rules! on_each_libwayland {
    ($($test:ident,)*) => {
        $(mod $test {
            use $crate::libwayland::{Libwayland, run};

            #[test]
            fn installed() -> anyhow::Result<()> {
                run(concat!(stringify!($test), "::installed"), Libwayland::Installed, super::$test)
            }

            #[test]
            fn trixie() -> anyhow::Result<()> {
                run(concat!(stringify!($test), "::trixie"), Libwayland::Trixie, super::$test)
            }

            #[test]
            fn sid() -> anyhow::Result<()> {
                run(concat!(stringify!($test), "::sid"), Libwayland::Sid, super::$test)
            }
        })*
    };
}
