//! The header alone.

use std::process::Command;

use anyhow::Result;
use integration_tests::{Binaries, skip};

use crate::compile::{self, Link, WARNINGS, source};
use crate::installed::Installed;

fn check(compiler: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(compiler);
    command.args(args).args(WARNINGS).arg("-fsyntax-only");
    command.args(Installed::get()?.pkg_config(&["--cflags"])?);
    command.arg(source("plain.c"));
    compile::run(command)
}

#[test]
fn is_strict_c11() -> Result<()> {
    check("cc", &["-std=c11"])?;
    check("cc", &["-std=gnu17", "-Wstrict-prototypes", "-Wconversion"])
}

#[test]
fn is_cxx() -> Result<()> {
    if !skip::has_programs("is_cxx", &["c++"]) {
        return Ok(());
    }
    for standard in ["-std=c++11", "-std=c++20"] {
        check("c++", &["-x", "c++", standard])?;
    }
    Ok(())
}

#[test]
fn is_all_a_program_needs() -> Result<()> {
    for (name, link) in [("plain", Link::Shared), ("plain-static", Link::Static)] {
        let program = compile::program(name, &[source("plain.c")], &[], link)?;
        let status = Command::new(program).status()?;
        anyhow::ensure!(status.success(), "{name}: {status}");
    }
    Ok(())
}

#[test]
fn is_what_the_sources_make() -> Result<()> {
    let mut xtask = Command::new(Binaries::beside_this_one()?.path("xtask")?);
    compile::run({
        xtask.args(["header", "--check"]);
        xtask
    })
}
