use anyhow::Result;
use integration_tests::dir::TestDir;

use super::{check, lines, mib};
use crate::vm::cache;
use crate::vm::image::{Contents, Image};
use crate::vm::tree::Tree;

fn contents(limit: Option<u64>) -> Contents {
    let mut initramfs = Tree::new();
    initramfs.file("usr/bin/small", 0o755, [1; 10]);
    initramfs.file("usr/bin/large", 0o755, vec![2; 3 << 20]);
    Contents {
        initramfs,
        disk: None,
        limit,
    }
}

#[test]
fn kernel_and_files_count_together() -> Result<()> {
    let dir = TestDir::new()?;
    cache::write(&dir.join("vmlinuz"), [0; 60])?;
    cache::write(&dir.join("initramfs"), [0; 40])?;
    let check = |limit| check(Image::Compositor, dir.path(), &contents(limit));
    check(None)?;
    check(Some(100))?;
    let error = check(Some(99)).unwrap_err().to_string();
    assert!(error.contains("compositor"), "{error}");
    assert!(
        error.contains("/usr/bin/large 3.0 MiB, /usr/bin/small"),
        "{error}"
    );
    Ok(())
}

#[test]
fn sizes_for_people() -> Result<()> {
    assert_eq!(mib(64 << 20), "64.0 MiB");
    assert_eq!(mib(0), "0.0 MiB");
    let dir = TestDir::new()?;
    cache::write(&dir.join("initramfs"), vec![0; 3 << 19])?;
    assert_eq!(lines(dir.path())?, ["initramfs     1.5 MiB"]);
    Ok(())
}
