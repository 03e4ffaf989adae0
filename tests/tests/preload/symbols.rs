//! What the library is to the loader.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use integration_tests::{Binaries, preload};
use object::{Object as _, ObjectSymbol as _};

/// Exactly what it puts itself before.
const EXPORTED: [&str; 25] = [
    "__fxstat",
    "__fxstat64",
    "__recv_chk",
    "__recvfrom_chk",
    "accept",
    "accept4",
    "fstat",
    "fstat64",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "mmap",
    "mmap64",
    "mremap",
    "munmap",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "statx",
];

#[test]
fn nothing_is_exported_but_what_is_interposed() -> Result<()> {
    let library = preload::library(&Binaries::beside_this_one()?)?;
    let bytes = std::fs::read(library)?;
    let file = object::File::parse(&*bytes)?;
    let exported: BTreeSet<_> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    let expected = BTreeSet::from(EXPORTED);
    ensure!(
        exported == expected,
        "too many: {:?}, missing: {:?}",
        exported.difference(&expected).collect::<Vec<_>>(),
        expected.difference(&exported).collect::<Vec<_>>()
    );
    Ok(())
}
