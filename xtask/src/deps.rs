//! The Debian packages, and installing the missing ones.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A Debian package, recognised by one of its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    name: &'static str,
    /// Any of these shows that it, or something in its place, is installed.
    files: &'static [&'static str],
}

const fn package(name: &'static str, files: &'static [&'static str]) -> Package {
    Package { name, files }
}

/// What building needs.
pub(crate) const BUILD: &[Package] = &[
    package("gcc", &["/usr/bin/cc"]),
    package("libc6-dev", &["/usr/include/stdlib.h"]),
    package("pkg-config", &["/usr/bin/pkg-config"]),
    package(
        "libpixman-1-dev",
        &[
            "/usr/lib/x86_64-linux-gnu/libpixman-1.so",
            "/usr/lib/aarch64-linux-gnu/libpixman-1.so",
        ],
    ),
    package(
        "libxkbcommon-dev",
        &[
            "/usr/lib/x86_64-linux-gnu/libxkbcommon.so",
            "/usr/lib/aarch64-linux-gnu/libxkbcommon.so",
        ],
    ),
];

/// What running the demo needs besides.
pub(crate) const PROGRAMS: &[Package] = &[
    package("xkb-data", &["/usr/share/X11/xkb/rules/evdev"]),
    package("foot", &["/usr/bin/foot"]),
    package("weston", &["/usr/bin/weston-flower"]),
    package(
        "fonts-dejavu-core",
        &["/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"],
    ),
];

/// What the tests need besides: a clipboard, a C++ compiler for libFuzzer and the C header, valgrind
/// for the C library, a server in C. AddressSanitizer comes with gcc.
pub(crate) const TESTS: &[Package] = &[
    package("libwayland-dev", &["/usr/include/wayland-server.h"]),
    package("wl-clipboard", &["/usr/bin/wl-copy"]),
    package("cage", &["/usr/bin/cage"]),
    package("sway", &["/usr/bin/sway"]),
    // Cage does not start without it.
    package("xwayland", &["/usr/bin/Xwayland"]),
    // kill(1), which units of systemd name.
    package("procps", &["/bin/kill"]),
    package("g++", &["/usr/bin/c++"]),
    package("valgrind", &["/usr/bin/valgrind"]),
];

/// What making images of virtual machines needs besides. QEMU and the kernel are not among them:
/// they are unpacked privately.
pub(crate) const VM: &[Package] = &[
    package("busybox-static", &["/bin/busybox", "/usr/bin/busybox"]),
    package("e2fsprogs", &["/sbin/debugfs", "/usr/sbin/debugfs"]),
    package("gcc-12", &["/usr/bin/x86_64-linux-gnu-gcc-12"]),
    package("genext2fs", &["/usr/bin/genext2fs"]),
    package("libelf1", &["/usr/lib/x86_64-linux-gnu/libelf.so.1"]),
    package("make", &["/usr/bin/make"]),
    package("mmdebstrap", &["/usr/bin/mmdebstrap"]),
    package("uidmap", &["/usr/bin/newuidmap"]),
    package("xz-utils", &["/usr/bin/xz"]),
    package("zstd", &["/usr/bin/zstd"]),
];

/// Everything.
pub(crate) const ALL: &[&[Package]] = &[BUILD, PROGRAMS, TESTS, VM];

/// Makes sure that all packages of `groups` are there: installs the missing ones when root, says
/// how to otherwise.
///
/// # Errors
/// When packages are missing and cannot be installed.
pub(crate) fn require(groups: &[&[Package]]) -> Result<()> {
    let missing: Vec<&str> = groups
        .iter()
        .flat_map(|group| group.iter())
        .filter(|package| !package.files.iter().any(|file| Path::new(file).exists()))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!("packages are missing, run: sudo apt-get install --no-install-recommends {list}");
    }
    println!("installing Debian packages: {list}");
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat())
}

/// Runs apt-get quietly; what it printed appears only when it fails.
fn apt_get(args: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .arg("--quiet")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get (only Debian and its like are supported)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("apt-get {} failed: {}", args.join(" "), said.trim());
    }
    Ok(())
}
