//! The terminal `foot` with everything fixed that could vary between two pictures: font, size,
//! cursor, colours.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::chain::{AppVm, Chain};
use crate::ctl::Window;
use crate::dir::TestDir;
use crate::picture::Picture;
use crate::process::{Command, Daemon};
use crate::screen::{self, Screen};
use crate::skip;
use crate::vm::Vm;

const CONFIG: &str = "\
font=DejaVu Sans Mono:size=12
initial-window-size-pixels=480x240
pad=4x4
resize-delay-ms=0
[cursor]
blink=no
style=block
[colors]
background=101820
foreground=f0f0f0
";

/// Where the configuration is in a guest.
const GUEST_CONFIG: &str = "/tmp/foot.ini";

/// Whether `foot` is installed; prints the skip of `test` when not.
pub fn is_installed(test: &str) -> bool {
    skip::has_programs(test, &["foot"])
}

/// A `foot` that shows what the shell script `script` prints, and sets its title when it has.
#[derive(Clone, Debug)]
pub struct Foot {
    config: PathBuf,
    script: String,
    title: String,
}

impl Foot {
    /// `script` runs in the terminal; afterwards the title becomes `title`.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn new(dir: &TestDir, title: &str, script: &str) -> Result<Self> {
        Ok(Self::with_config(
            dir.write("foot.ini", CONFIG)?,
            title,
            script,
        ))
    }

    /// The same for a guest, with its configuration written there.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn in_guest(vm: &Vm, title: &str, script: &str) -> Result<Self> {
        vm.write_file(GUEST_CONFIG, CONFIG)?;
        Ok(Self::with_config(GUEST_CONFIG.into(), title, script))
    }

    fn with_config(config: PathBuf, title: &str, script: &str) -> Self {
        Self {
            config,
            script: format!("{script}\nprintf '\\033]2;%s\\033\\\\' '{title}'\n"),
            title: title.to_owned(),
        }
    }

    /// The arguments of `foot`. `then` runs once the title is set and keeps the terminal open.
    pub fn arguments(&self, then: &str) -> [String; 4] {
        [
            format!("--config={}", self.config.display()),
            "sh".to_owned(),
            "-c".to_owned(),
            format!("{}{then}", self.script),
        ]
    }

    /// Starts it in an app VM under `sommelier`, waits for its title.
    ///
    /// # Errors
    /// When its window does not appear.
    pub fn in_vm(&self, chain: &Chain, vm: &AppVm, then: &str) -> Result<(Daemon, Window)> {
        let command = chain
            .sommelier(vm, "foot")?
            .arg("foot")
            .args(self.arguments(then));
        self.shown(chain, vm, command)
    }

    /// Starts it directly on the compositor's test socket of that VM, waits for its title.
    ///
    /// # Errors
    /// When its window does not appear.
    pub fn directly(&self, chain: &Chain, vm: &AppVm, then: &str) -> Result<(Daemon, Window)> {
        let socket = chain.paths().test_socket(vm.name());
        let command = chain.client(vm, socket, "foot").args(self.arguments(then));
        self.shown(chain, vm, command)
    }

    fn shown(&self, chain: &Chain, vm: &AppVm, command: Command) -> Result<(Daemon, Window)> {
        let mut process = command.spawn()?;
        let waited = chain.ctl()?.wait_title(vm.name(), &self.title);
        let window = waited.with_context(|| {
            let ended = process.try_wait().ok().flatten();
            format!("foot ({ended:?})\n{}", process.log_tail())
        })?;
        Ok((process, window))
    }
}

/// The picture of a window's content once two in a row are equal and `accept`ed: `foot` draws its
/// text a frame later than it sets its title.
///
/// # Errors
/// When it is never so.
pub fn settled_content(
    screen: &impl Screen,
    dir: &TestDir,
    window: &Window,
    mut accept: impl FnMut(&Picture) -> bool,
) -> Result<Picture> {
    let area = window.content()?;
    let mut last = None;
    let path = dir.join("screen.png");
    let screen = screen::wait_picture(screen, "a picture that stays", &path, |screen| {
        let Ok(content) = screen.crop(area.x, area.y, area.width, area.height) else {
            return false;
        };
        let settled = last.as_ref() == Some(&content) && accept(&content);
        last = Some(content);
        settled
    })?;
    screen.crop(area.x, area.y, area.width, area.height)
}
