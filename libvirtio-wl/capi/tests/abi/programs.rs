//! The C programs of `tests/c`: as they are, under AddressSanitizer, linked statically, under valgrind.

use std::path::{Path, PathBuf};

use anyhow::Result;
use integration_tests::{bin, skip};

use crate::compile::{self, Link, source};
use crate::world::World;

/// Under which eyes a program runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under {
    Nothing,
    /// The compiler's, for the program's own memory and what both sides allocate and free.
    AddressSanitizer,
    /// For every access, the library's too.
    Valgrind,
}

/// Compiles `tests/c/NAME.c` and runs it in `world`.
fn run(name: &str, under: Under, world: &World) -> Result<()> {
    let sources = [source(&format!("{name}.c")), source("world.c")];
    run_with(name, &sources, &[], under, world).map(drop)
}

/// Compiles a program and runs it with `args`; what it printed.
pub(crate) fn run_with(
    name: &str,
    sources: &[PathBuf],
    args: &[&str],
    under: Under,
    world: &World,
) -> Result<String> {
    let command = match under {
        Under::Nothing => {
            let static_one = format!("{name}-static");
            let program = compile::program(&static_one, sources, &[], Link::Static)?;
            world.command(name, &program)
        }
        Under::AddressSanitizer => {
            let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
            let name = format!("{name}-asan");
            let program = compile::program(&name, sources, &options, Link::Shared)?;
            let command = world.command(&name, &program);
            command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1")
        }
        Under::Valgrind => {
            let program = compile::program(name, sources, &[], Link::Shared)?;
            valgrind(&program, world)
        }
    };
    world.run(command.args(args))
}

fn valgrind(program: &Path, world: &World) -> integration_tests::Command {
    let valgrind = bin::in_path("valgrind").unwrap_or_else(|| PathBuf::from("valgrind"));
    world
        .command("valgrind", &valgrind)
        .env("UNDER_VALGRIND", "1")
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args([
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
            "--fair-sched=yes",
        ])
        .arg(program)
}

/// Three tests for a program: in parallel, and each named in a report.
macro_rules! program {
    ($name:ident, $world:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn alone() -> Result<()> {
                run(stringify!($name), Under::Nothing, &$world?)
            }

            #[test]
            fn under_asan() -> Result<()> {
                run(stringify!($name), Under::AddressSanitizer, &$world?)
            }

            #[test]
            fn under_valgrind() -> Result<()> {
                let name = concat!(stringify!($name), "::under_valgrind");
                if !skip::has_programs(name, &["valgrind"]) {
                    return Ok(());
                }
                run(stringify!($name), Under::Valgrind, &$world?)
            }
        }
    };
}

program!(basics, World::new());
program!(connecting, World::new());
program!(accepting, World::new());
program!(messages, World::new());
program!(memory, World::with_quota());
program!(pipes, World::new());
program!(threads, World::new());
program!(forking, World::new());
program!(nodevice, World::new());
