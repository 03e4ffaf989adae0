//! libwayland-server of other Debian releases, each with the loader and libraries it was built for.
//!
//! ```text
//! target/vm/libwayland/<release>/      a link to <cache>/libwayland/<release>/
//! ```

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result};

use super::apt::Apt;
use super::cache::{self, Cache};
use super::unpack;

/// Releases whose library differs from that of the tests' own machine, Debian 12: 1.23, and 1.26 or
/// whatever is newest.
const RELEASES: [&str; 2] = ["trixie", "sid"];

const PACKAGE: &str = "libwayland-server0";

/// Where they are.
const DIRECTORY: &str = "libwayland";

/// Makes sure that they are there.
///
/// # Errors
/// When one cannot be fetched.
pub(crate) fn ensure() -> Result<()> {
    let cache = Cache::open()?;
    cache::create_dir(&cache.own(DIRECTORY))?;
    for release in RELEASES {
        let name = format!("{DIRECTORY}/{release}");
        let root = cache.once(&format!("{name}.root"), |root| {
            println!("  fetching libwayland of Debian {release} (20 MB, once) ...");
            let apt = Apt::open(&cache.shared(&format!("debs/{name}")), &[release])?;
            unpack::new_root(root)?;
            for package in apt.download_closure(release, PACKAGE)? {
                unpack::package(&package, root)?;
            }
            Ok(())
        })?;
        let link = cache.own(&name);
        if fs::read_link(&link).is_ok_and(|target| target == root) {
            continue;
        }
        cache::remove(&link)?;
        symlink(&root, &link).with_context(|| format!("cannot create {}", link.display()))?;
    }
    Ok(())
}
