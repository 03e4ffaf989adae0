//! The compositor's control socket, through `virtio-wl-compositor ctl`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::picture::Picture;
use crate::screen::{self, Screen};
use crate::wait;

/// Asks one running compositor.
#[derive(Clone, Debug)]
pub struct CompositorCtl {
    binary: PathBuf,
    control: PathBuf,
    patience: Duration,
}

/// A window as the compositor lists it.
#[derive(Clone, Debug)]
pub struct Window {
    /// The entry as it was printed.
    pub json: Value,
}

impl Window {
    /// A text field, empty when missing.
    fn text(&self, field: &str) -> &str {
        self.json
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Name of the VM it belongs to.
    pub fn vm(&self) -> &str {
        self.text("vm")
    }

    /// Title given by the client.
    pub fn title(&self) -> &str {
        self.text("title")
    }

    /// Application id given by the client.
    pub fn app_id(&self) -> &str {
        self.text("app_id")
    }

    /// The client's content on the screen: x, y, width, height in pixels.
    ///
    /// # Errors
    /// When the compositor printed none, or one that reaches off the screen's left or top.
    pub fn content(&self) -> Result<Rect> {
        self.rect("content")
    }

    /// The whole window with its frame.
    ///
    /// # Errors
    /// As for [`Self::content`].
    pub fn frame(&self) -> Result<Rect> {
        self.rect("frame")
    }

    fn rect(&self, field: &str) -> Result<Rect> {
        let side = |name: &str| -> Result<usize> {
            let value = self.json.get(field).and_then(|rect| rect.get(name));
            let value = value
                .and_then(Value::as_u64)
                .with_context(|| format!("no {field}.{name} in {}", self.json))?;
            usize::try_from(value).context("coordinate")
        };
        Ok(Rect {
            x: side("x")?,
            y: side("y")?,
            width: side("width")?,
            height: side("height")?,
        })
    }
}

/// A rectangle of the screen in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

impl Rect {
    /// Without `border` pixels on each side; empty when there are not so many.
    #[must_use]
    pub fn shrunk(&self, border: usize) -> Self {
        Self {
            x: self.x + border,
            y: self.y + border,
            width: self.width.saturating_sub(2 * border),
            height: self.height.saturating_sub(2 * border),
        }
    }

    /// Whether the pixel lies inside.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }

    /// Whether all of the other lies inside.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.x >= self.x
            && other.y >= self.y
            && other.x + other.width <= self.x + self.width
            && other.y + other.height <= self.y + self.height
    }
}

impl CompositorCtl {
    /// `binary` is `virtio-wl-compositor`, `control` its control socket.
    pub fn new(binary: PathBuf, control: PathBuf) -> Self {
        Self {
            binary,
            control,
            patience: wait::STEP,
        }
    }

    /// How long a wait may take (default [`wait::STEP`]).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs one sub-command of `ctl`; what it printed.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command
            .arg("ctl")
            .arg("--control")
            .arg(&self.control)
            .args(args)
            .stdin(Stdio::null());
        let output = command
            .output()
            .context("cannot run virtio-wl-compositor ctl")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{:?}: {} ({})", command, said.trim(), output.status);
        }
        String::from_utf8(output.stdout).context("ctl output")
    }

    /// Writes the screen to `path`.
    ///
    /// # Errors
    /// When the compositor or the file refuses.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        self.run([OsStr::new("screenshot"), path.as_os_str()])
            .map(drop)
    }

    /// The screen as a picture; `path` is where the file is left.
    ///
    /// # Errors
    /// When the compositor or the file refuses.
    pub fn picture(&self, path: &Path) -> Result<Picture> {
        Screen::picture(self, path)
    }

    /// All windows.
    ///
    /// # Errors
    /// When the compositor refuses.
    pub fn windows(&self) -> Result<Vec<Window>> {
        let text = self.run(["windows", "--json"])?;
        let json: Value = serde_json::from_str(&text).context("list of windows")?;
        let list = json.get("windows").unwrap_or(&json);
        let list = list
            .as_array()
            .with_context(|| format!("not a list of windows: {text}"))?;
        Ok(list
            .iter()
            .map(|json| Window { json: json.clone() })
            .collect())
    }

    /// `ctl wait …`: waits in the compositor, on its own events.
    ///
    /// # Errors
    /// When it is not so in time; with the windows there are.
    pub fn wait<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<()> {
        let mut all: Vec<OsString> = vec!["wait".into(), "--timeout".into()];
        all.push(self.patience.as_secs().to_string().into());
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let waited = self.run(all);
        waited
            .map(drop)
            .with_context(|| format!("windows there are: {:?}", self.windows()))
    }

    /// Waits until a VM has at least `count` windows.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_windows(&self, vm: &str, count: usize) -> Result<()> {
        self.wait(["windows", &count.to_string(), "--vm", vm])
    }

    /// Waits until a VM has no window.
    ///
    /// # Errors
    /// When it still has one at the end of the time.
    pub fn wait_no_windows(&self, vm: &str) -> Result<()> {
        self.wait(["windows", "0", "--vm", vm, "--exactly"])
    }

    /// Waits for a window of a VM whose title contains `title`, and gives it.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_title(&self, vm: &str, title: &str) -> Result<Window> {
        self.wait(["windows", "1", "--vm", vm, "--title", title])?;
        let mut windows = self.windows()?.into_iter();
        windows
            .find(|window| window.vm() == vm && window.title().contains(title))
            .with_context(|| format!("no window of {vm} with the title {title}"))
    }

    /// Waits until the picture of the screen is as `accept` wants it.
    ///
    /// # Errors
    /// When it is not in time; the last picture stays at `path`.
    pub fn wait_picture(
        &self,
        what: &str,
        path: &Path,
        accept: impl FnMut(&Picture) -> bool,
    ) -> Result<Picture> {
        screen::wait_picture(self, what, path, accept)
    }

    /// `ctl input …`.
    ///
    /// # Errors
    /// When the compositor refuses.
    pub fn input<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<()> {
        let mut all = vec![OsString::from("input")];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.run(all).map(drop)
    }
}

impl Screen for CompositorCtl {
    fn picture(&self, path: &Path) -> Result<Picture> {
        self.screenshot(path)?;
        Picture::read(path)
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
