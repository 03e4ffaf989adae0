use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::Result;
use integration_tests::dir::TestDir;
use integration_tests::skip;

use super::{Disk, packages};
use crate::vm::debian::System;
use crate::vm::tool;
use crate::vm::tree::Tree;

const TOOLS: [&str; 2] = ["genext2fs", "tar"];
/// What stands for Debian: a list of packages, a link, a file with the set-user-id bit.
const STATUS: &str = "Package: foot\nVersion: 1.13-1\n\nPackage: bash\nVersion: 5.2\n";

fn archive(dir: &TestDir) -> Result<std::path::PathBuf> {
    let root = dir.sub("root")?;
    fs::create_dir_all(root.join("var/lib/dpkg"))?;
    fs::create_dir_all(root.join("usr/bin"))?;
    fs::write(root.join("var/lib/dpkg/status"), STATUS)?;
    fs::write(root.join("usr/bin/su"), "su")?;
    symlink("usr/bin", root.join("bin"))?;
    let archive = dir.join("base.tar");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--numeric-owner"]);
    tar.args([
        "--owner=0",
        "--group=0",
        "--mode=u+s",
        "--mtime=@1735689600",
    ]);
    tar.arg("--directory")
        .arg(&root)
        .arg("--file")
        .arg(&archive);
    tool::output(tar.arg("."))?;
    Ok(archive)
}

fn disk(tree: Tree) -> Disk {
    Disk {
        system: System {
            suite: "bookworm",
            packages: Vec::new(),
            setup: String::new(),
        },
        tree,
        size_mib: 64,
    }
}

fn debugfs(image: &std::path::Path, what: &str) -> Result<String> {
    let mut debugfs = tool::administrative("debugfs");
    tool::text(debugfs.args(["-R", what]).arg(image))
}

#[test]
fn a_disk_holds_both_parts_and_is_the_same_again() -> Result<()> {
    if !skip::has_programs("a_disk_holds_both_parts_and_is_the_same_again", &TOOLS) {
        return Ok(());
    }
    let dir = TestDir::new()?;
    let base = archive(&dir)?;
    let mut tree = Tree::new();
    tree.file("usr/bin/ours", 0o755, *b"our program");
    tree.link("usr/bin/other", "ours");
    let disk = disk(tree);
    let (first, second) = (dir.join("first"), dir.join("second"));
    disk.write(&base, &first)?;
    disk.write(&base, &second)?;
    let same = Command::new("cmp").arg(&first).arg(&second).status()?;
    assert!(same.success(), "two disks differ");

    assert_eq!(debugfs(&first, "cat /usr/bin/ours")?, "our program");
    assert_eq!(debugfs(&first, "cat /var/lib/dpkg/status")?, STATUS);
    let su = debugfs(&first, "stat /usr/bin/su")?;
    assert!(su.contains("Mode:  04"), "{su}");
    assert!(su.contains("User:     0"), "{su}");
    let super_block = debugfs(&first, "show_super_stats -h")?;
    for line in ["Inode size:	          256", "filetype", "dir_index"] {
        assert!(super_block.contains(line), "{line}: {super_block}");
    }
    Ok(())
}

#[test]
fn nothing_of_debian_is_replaced() -> Result<()> {
    if !skip::has_programs("nothing_of_debian_is_replaced", &TOOLS) {
        return Ok(());
    }
    let dir = TestDir::new()?;
    let base = archive(&dir)?;
    let mut tree = Tree::new();
    tree.file("usr/bin/su", 0o755, *b"ours");
    let error = disk(tree).write(&base, &dir.join("disk")).unwrap_err();
    assert!(error.to_string().contains("/usr/bin/su"), "{error}");
    Ok(())
}

#[test]
fn packages_are_read_from_an_archive() -> Result<()> {
    let dir = TestDir::new()?;
    let found = packages(&archive(&dir)?)?;
    let expected = [("foot", "1.13-1"), ("bash", "5.2")];
    let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
    assert_eq!(found, expected);
    Ok(())
}
