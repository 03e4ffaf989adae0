//! A screen that can be looked at: an embedded compositor's, or that of a VM.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::picture::Picture;
use crate::wait::{self, Deadline};

/// Something that gives pictures.
pub trait Screen {
    /// The screen as a picture; `path` is where the file is left.
    ///
    /// # Errors
    /// When the screen or the file refuses.
    fn picture(&self, path: &Path) -> Result<Picture>;

    /// How long one step may take here.
    fn patience(&self) -> Duration {
        wait::STEP
    }
}

/// Waits until the picture of the screen is as `accept` wants it.
///
/// # Errors
/// When it is not in time; the last picture stays at `path`.
pub fn wait_picture(
    screen: &(impl Screen + ?Sized),
    what: &str,
    path: &Path,
    mut accept: impl FnMut(&Picture) -> bool,
) -> Result<Picture> {
    wait::until(what, Deadline::after(screen.patience()), || {
        let picture = screen.picture(path)?;
        Ok(accept(&picture).then_some(picture))
    })
}
