//! `cargo xtask install`: everything a system needs, where a packager expects it.
//!
//! * `tree`: putting files below a prefix

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::{self, Profile};

mod tree;

use tree::Tree;

/// Install libraries, header, programs and manual pages.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where they belong; an absolute path
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Where libraries go below the prefix, such as lib/x86_64-linux-gnu
    #[arg(long, value_name = "DIR", default_value = "lib")]
    libdir: PathBuf,
    /// Put the prefix below this directory, as packagers do
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Only these (default: all)
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Install the debug build, as the tests do; quicker to compile
    #[arg(long)]
    debug: bool,
    /// Install what has been built, and build nothing
    #[arg(long)]
    no_build: bool,
}

/// What may be wanted without the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Part {
    /// libvirtio_wl with header, pkg-config file and manual pages, and libvirtio_wl_preload
    Libraries,
    /// The programs and their manual pages
    Programs,
}

/// A library of C as cargo builds it, and as it is installed.
struct Library {
    /// Of its package, below `libvirtio-wl/`.
    directory: &'static str,
    /// Cargo's name of it: `libNAME.so`.
    built: &'static str,
    /// Its name in `-lNAME`.
    name: &'static str,
}

const LIBRARY: Library = Library {
    directory: "capi",
    built: "virtio_wl_capi",
    name: "virtio_wl",
};

const PRELOAD: Library = Library {
    directory: "preload",
    built: "virtio_wl_preload",
    name: "virtio_wl_preload",
};

/// The number of the ABI, in the sonames.
const ABI: u32 = 1;

/// The sections of our manual pages, with what they are about.
const MAN_SECTIONS: [(&str, Part); 3] = [
    ("1", Part::Programs),
    ("3", Part::Libraries),
    ("7", Part::Libraries),
];

impl Library {
    /// Whether the package is there.
    fn exists(&self) -> bool {
        let directory = cargo::root().join("libvirtio-wl").join(self.directory);
        directory.join("Cargo.toml").exists()
    }

    fn install(&self, from: &Path, to: &Tree, libdir: &Path) -> Result<()> {
        let Self { built, name, .. } = self;
        let soname = format!("lib{name}.so.{ABI}");
        to.file(
            &from.join(format!("lib{built}.so")),
            &libdir.join(&soname),
            0o644,
        )?;
        to.link(&soname, &libdir.join(format!("lib{name}.so")))?;
        to.file(
            &from.join(format!("lib{built}.a")),
            &libdir.join(format!("lib{name}.a")),
            0o644,
        )
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.prefix.is_absolute(),
        "the prefix must be an absolute path"
    );
    let profile = if args.debug {
        Profile::Debug
    } else {
        Profile::Release
    };
    let built = if args.no_build {
        cargo::built(profile)?
    } else {
        cargo::build_everything(profile)?
    };
    let tree = Tree::new(&args.prefix, args.destdir.as_deref());
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Libraries) {
        libraries(args, built.dir(), &tree)?;
    }
    for (section, _) in MAN_SECTIONS.iter().filter(|(_, part)| wanted(*part)) {
        manual(section, &tree)?;
    }
    if wanted(Part::Programs) {
        // A program for users is one with a manual page.
        for name in pages("1")?.iter().filter_map(|page| page.file_stem()) {
            let name = name.to_str().context("name of a manual page")?;
            tree.file(&built.path(name)?, &Path::new("bin").join(name), 0o755)?;
        }
    }
    Ok(())
}

fn libraries(args: &Args, built: &Path, tree: &Tree) -> Result<()> {
    LIBRARY.install(built, tree, &args.libdir)?;
    if PRELOAD.exists() {
        PRELOAD.install(built, tree, &args.libdir)?;
    }
    tree.file(
        &crate::header::path(),
        Path::new("include/virtio_wl.h"),
        0o644,
    )?;
    let template = cargo::root().join("libvirtio-wl/capi/virtio-wl.pc.in");
    let template =
        std::fs::read_to_string(&template).with_context(|| template.display().to_string())?;
    let prefix = args.prefix.to_str().context("the prefix")?;
    let libdir = args.prefix.join(&args.libdir);
    let text = template
        .replace("@prefix@", prefix)
        .replace(
            "@libdir@",
            libdir.to_str().context("the library directory")?,
        )
        .replace("@version@", env!("CARGO_PKG_VERSION"));
    tree.text(&text, &args.libdir.join("pkgconfig/virtio-wl.pc"))
}

/// Installs the manual pages of a section.
fn manual(section: &str, tree: &Tree) -> Result<()> {
    let directory = Path::new("share/man").join(format!("man{section}"));
    for page in pages(section)? {
        let name = page.file_name().context("name of a manual page")?;
        tree.file(&page, &directory.join(name), 0o644)?;
    }
    Ok(())
}

/// Our manual pages of a section, in order.
fn pages(section: &str) -> Result<Vec<PathBuf>> {
    let directory = cargo::root().join("docs/man");
    let entries = directory
        .read_dir()
        .with_context(|| directory.display().to_string())?;
    let mut pages = entries
        .map(|entry| Ok(entry.context("a manual page")?.path()))
        .collect::<Result<Vec<_>>>()?;
    pages.retain(|page| page.extension().is_some_and(|end| end == section));
    pages.sort();
    Ok(pages)
}
