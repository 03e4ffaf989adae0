//! The screen of a compositor VM: looked at and acted on through QEMU, as a user would; only the list
//! of windows comes from the compositor itself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::keys;
use super::qmp::Qmp;
use crate::ctl::{CompositorCtl, Rect};
use crate::picture::Picture;
use crate::screen::Screen;

/// The screen, keyboard and pointer of a compositor VM.
#[derive(Debug)]
pub struct VmScreen<'a> {
    monitor: &'a RefCell<Qmp>,
    ctl: CompositorCtl,
    size: (u32, u32),
}

impl<'a> VmScreen<'a> {
    pub(super) fn new(
        monitor: &'a RefCell<Qmp>,
        binary: PathBuf,
        control: PathBuf,
        size: (u32, u32),
    ) -> Self {
        Self {
            monitor,
            ctl: CompositorCtl::new(binary, control).patience(super::STEP),
            size,
        }
    }

    /// The compositor's control socket, through a port of the VM. It gives no screenshots.
    pub fn ctl(&self) -> &CompositorCtl {
        &self.ctl
    }

    /// Types a text with the keyboard, key by key.
    ///
    /// # Errors
    /// When QEMU refuses, or no key types a character.
    pub fn type_text(&self, text: &str) -> Result<()> {
        let mut monitor = self.monitor.borrow_mut();
        for character in text.chars() {
            let chord = keys::chord(character)?;
            let chord: Vec<&str> = chord.iter().map(String::as_str).collect();
            monitor.chord(&chord)?;
            // Keyboards drop what their guest does not fetch in time, and nobody types that fast: the
            // compositor has been through its events when it answers.
            self.ctl().windows()?;
        }
        Ok(())
    }

    /// Moves the pointer.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn point(&self, x: usize, y: usize) -> Result<()> {
        let at = (u32::try_from(x)?, u32::try_from(y)?);
        self.monitor.borrow_mut().pointer(at, self.size)
    }

    /// Clicks into the middle of `area`.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn click(&self, area: Rect) -> Result<()> {
        self.point(area.x + area.width / 2, area.y + area.height / 2)?;
        self.monitor.borrow_mut().click("left")
    }
}

impl Screen for VmScreen<'_> {
    fn picture(&self, path: &Path) -> Result<Picture> {
        self.monitor.borrow_mut().screendump(path)?;
        Picture::read(path)
    }

    fn patience(&self) -> std::time::Duration {
        super::STEP
    }
}
