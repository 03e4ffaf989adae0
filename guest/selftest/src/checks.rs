//! The tests, by group.

mod connection;
mod endings;
mod flow;
mod many;
mod memory;
mod node;
mod passing;
mod pipes;
mod refresh;
mod removal;
mod sharing;
mod signals;
mod suspend;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::device::{Device, Kind, Vfd};
use crate::runner::Test;

/// Tests of one thing.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    name: &'static str,
    tests: &'static [Entry],
    when: When,
}

/// When a group is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Nothing works on the device after it.
    Last,
    /// Only if a filter names it.
    Named,
}

/// Name and function of a test.
type Entry = (&'static str, fn(&Context) -> Result<()>);

impl Group {
    const fn new(name: &'static str, tests: &'static [Entry]) -> Self {
        Self {
            name,
            tests,
            when: When::Always,
        }
    }

    pub(crate) fn tests(&self) -> impl Iterator<Item = Test> {
        self.tests.iter().map(|(name, run)| Test {
            group: self.name,
            name,
            run: *run,
            when: self.when,
        })
    }
}

/// All groups, in the order they run.
pub(crate) fn all() -> &'static [Group] {
    &[
        removal::REBIND,
        node::GROUP,
        connection::GROUP,
        passing::GROUP,
        memory::GROUP,
        refresh::GROUP,
        pipes::GROUP,
        sharing::GROUP,
        endings::GROUP,
        signals::GROUP,
        flow::GROUP,
        many::GROUP,
        suspend::GROUP,
        removal::GROUP,
    ]
}

/// What every test starts from.
#[derive(Debug)]
pub(crate) struct Context {
    path: PathBuf,
}

impl Context {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The device in `/sys/class/misc`.
    pub(crate) fn sysfs(&self) -> Result<PathBuf> {
        let node = self.path.file_name().context("no file name")?;
        Ok(Path::new("/sys/class/misc").join(node))
    }

    pub(crate) fn open(&self) -> Result<Device> {
        Device::open(&self.path).with_context(|| self.path.display().to_string())
    }

    /// A new connection to the echo.
    pub(crate) fn echo(&self) -> Result<Vfd> {
        self.connect(Kind::Context)
    }

    /// A new connection to the peer that takes orders.
    pub(crate) fn host(&self) -> Result<Vfd> {
        self.connect(Kind::Named("host"))
    }

    /// A new connection to the peer that never reads.
    pub(crate) fn stuck(&self) -> Result<Vfd> {
        self.connect(Kind::Named("stuck"))
    }

    /// New memory.
    pub(crate) fn memory(&self, size: usize) -> Result<Vfd> {
        self.connect(Kind::Memory(u32::try_from(size)?))
    }

    fn connect(&self, kind: Kind<'_>) -> Result<Vfd> {
        self.open()?
            .create(kind)
            .with_context(|| format!("{kind:?}"))
    }
}

/// A test that cannot be tried here, and why.
#[derive(Debug)]
pub(crate) struct Skip(pub(crate) String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Fails unless the call failed with this errno.
macro_rules! ensure_errno {
    ($result:expr, $errno:ident) => {
        match &$result {
            result => anyhow::ensure!(
                matches!(result, Err(nix::errno::Errno::$errno)),
                "{}: {:?}, not {}",
                stringify!($result),
                result,
                stringify!($errno)
            ),
        }
    };
}

/// Fails unless both are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) => anyhow::ensure!(
                *left == *right,
                "{}: {:?}, not {:?}",
                stringify!($left),
                left,
                right
            ),
        }
    };
}

pub(crate) use {ensure_eq, ensure_errno};
