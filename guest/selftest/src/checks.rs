//! The tests, by group.

mod connection;
mod endings;
mod flow;
mod left;
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

use crate::device::{Device, Kind, PAGE, Vfd};
use crate::features::{Feature, Features};
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

/// The peer that never reads.
const STUCK_PEER: Kind<'_> = Kind::Named("stuck");

/// What every test starts from.
#[derive(Debug)]
pub(crate) struct Context {
    path: PathBuf,
    features: Features,
}

impl Context {
    /// For the device at this path.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            features: Features::of(&sysfs(path)?)?,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The device in `/sys/class/misc`.
    pub(crate) fn sysfs(&self) -> Result<PathBuf> {
        sysfs(&self.path)
    }

    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// Ends the test here if the device has no such feature; `why` says what is missing with it.
    pub(crate) fn needs(&self, feature: Feature, why: &str) -> Result<()> {
        if self.has(feature) {
            return Ok(());
        }
        Err(Skip(format!("the device has no {}: {why}", feature.name())).into())
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
        let why = "it takes what nobody reads, and drops the connection when it is too much";
        self.needs(Feature::Credit, why)?;
        self.connect(STUCK_PEER)
    }

    /// Ends the test here if there is no memory.
    pub(crate) fn needs_memory(&self) -> Result<()> {
        self.needs(Feature::UseShmem, "there is no memory")
    }

    /// New memory.
    pub(crate) fn memory(&self, size: usize) -> Result<Vfd> {
        self.needs_memory()?;
        self.connect(Kind::Memory(u32::try_from(size)?))
    }

    /// Something that can be passed on as often as one likes.
    pub(crate) fn anything(&self) -> Result<Vfd> {
        if self.has(Feature::UseShmem) {
            self.memory(PAGE)
        } else {
            self.echo()
        }
    }

    fn connect(&self, kind: Kind<'_>) -> Result<Vfd> {
        self.open()?
            .create(kind)
            .with_context(|| format!("{kind:?}"))
    }
}

/// The device of this path in `/sys/class/misc`.
fn sysfs(path: &Path) -> Result<PathBuf> {
    let node = path.file_name().context("no file name")?;
    Ok(Path::new("/sys/class/misc").join(node))
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
