//! The screen of a display adapter, by plain kernel mode setting.
//!
//! Frames are drawn in ordinary memory; what changed is copied into one dumb
//! buffer, and the adapter is told of those rectangles. On virtio-gpu the host
//! has a picture of its own that only these reach, so a second buffer and page
//! flips would send whole screens and gain nothing; there is no vblank either,
//! and the loop's timer paces the frames.
//!
//! * `card`: the seam to the ioctls; `drm`: those ioctls
//! * `mode`: which mode is set; `clips`: which rectangles are told

mod card;
mod clips;
mod drm;
mod mode;

#[cfg(test)]
mod tests;

use std::io;

use nix::errno::Errno;

use super::{Backend, BackendError, DisplayLost};
use crate::core::{Point, Rect, Size};
use crate::render::Canvas;
use crate::render::element::SceneElement;
use crate::render::pixels::{Framebuffer, PIXEL_BYTES};
use card::{Buffer, Card, Mode, Monitor};

pub(crate) use self::drm::DrmCard;

/// Modes of one monitor that are tried before giving it up.
const MAX_TRIES: usize = 4;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Kms<C: Card> {
    canvas: Canvas,
    /// `None` while no monitor is connected: frames are drawn, but not shown.
    shown: Option<Shown<C>>,
    /// The buffer shown lacks more than the next frame's damage.
    stale: bool,
    card: C,
}

/// What a monitor shows.
#[derive(Debug)]
struct Shown<C: Card> {
    output: C::Output,
    mode: Mode<C::Timing>,
    buffer: C::Buffer,
}

impl<C: Card> Kms<C> {
    /// Sets the mode the first connected monitor prefers.
    ///
    /// # Errors
    /// If no monitor is connected, or none can be made to show anything.
    pub(crate) fn new(card: C) -> Result<Self, DisplayLost> {
        let monitors = probe(&card)?;
        let Some(monitor) = monitors.first() else {
            return Err(DisplayLost::new("no monitor is connected"));
        };
        let shown = light(&card, monitor)?;
        let size = shown.mode.size;
        Ok(Self {
            canvas: canvas(size)?,
            shown: Some(shown),
            stale: true,
            card,
        })
    }

    /// Copies `damage` to the screen.
    fn present(&mut self, damage: &[Rect]) -> Result<(), BackendError> {
        let Some(shown) = &mut self.shown else {
            return Ok(());
        };
        let picture = self.canvas.framebuffer();
        for clip in clips::clips(damage, picture.size()) {
            copy(picture, &mut shown.buffer, clip);
            self.card.flush(&shown.buffer, clip).map_err(lost_or_late)?;
        }
        Ok(())
    }
}

impl<C: Card> Backend for Kms<C> {
    fn size(&self) -> Size {
        self.canvas.framebuffer().size()
    }

    fn draw(&mut self, elements: &[SceneElement]) -> Result<(), BackendError> {
        let mut damage = self.canvas.draw(elements).map_err(BackendError::Frame)?;
        if self.stale {
            damage = vec![Rect::at(Point::default(), self.size())];
        }
        self.stale = true;
        self.present(&damage)?;
        self.stale = false;
        Ok(())
    }

    fn read(&self) -> Vec<u32> {
        self.canvas.framebuffer().read()
    }

    fn shows_pointer(&self) -> bool {
        true
    }

    fn refresh(&mut self) -> Result<bool, BackendError> {
        let monitors = probe(&self.card)?;
        let current = self.shown.as_ref().map(|shown| shown.output);
        let same = |m: &&Monitor<C>| Some(m.output) == current;
        let Some(monitor) = monitors.iter().find(same).or(monitors.first()) else {
            if let Some(shown) = self.shown.take() {
                tracing::info!("the monitor is gone");
                switch_off(&self.card, &shown);
            }
            return Ok(false);
        };
        let best = mode::by_preference(&monitor.modes).into_iter().next();
        if let Some(shown) = &self.shown
            && shown.output == monitor.output
            && best.is_none_or(|best| best.timing == shown.mode.timing)
        {
            return Ok(false);
        }
        match light(&self.card, monitor) {
            Ok(shown) => {
                if shown.mode.size != self.size() {
                    self.canvas = canvas(shown.mode.size)?;
                }
                // The old buffer goes only now: the screen never shows nothing.
                self.shown = Some(shown);
                self.stale = true;
                Ok(true)
            }
            Err(error) if self.shown.is_some() => {
                tracing::warn!(%error, "the screen stays as it is");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<C: Card> Drop for Kms<C> {
    fn drop(&mut self) {
        if let Some(shown) = &self.shown {
            switch_off(&self.card, shown);
        }
    }
}

fn switch_off<C: Card>(card: &C, shown: &Shown<C>) {
    if let Err(error) = card.hide(shown.output) {
        // Its buffer goes next, which switches it off as well.
        tracing::debug!(%error, "cannot switch the monitor off");
    }
}

fn canvas(size: Size) -> Result<Canvas, DisplayLost> {
    Canvas::new(size).map_err(|error| DisplayLost::new(format!("{error:#}")))
}

fn probe<C: Card>(card: &C) -> Result<Vec<Monitor<C>>, DisplayLost> {
    let failed = |error| DisplayLost::because("cannot ask for monitors", error);
    card.monitors().map_err(failed)
}

/// Makes a monitor show a black picture in the best mode that works.
fn light<C: Card>(card: &C, monitor: &Monitor<C>) -> Result<Shown<C>, DisplayLost> {
    let output = monitor.output;
    let mut last = DisplayLost::new("the monitor has no mode that can be used");
    for mode in mode::by_preference(&monitor.modes)
        .into_iter()
        .take(MAX_TRIES)
    {
        let Size { w, h } = mode.size;
        let attempt = card.buffer(mode.size).and_then(|buffer| {
            card.show(output, mode.timing, &buffer)?;
            Ok(buffer)
        });
        match attempt {
            Ok(buffer) => {
                tracing::info!(width = w, height = h, refresh = mode.refresh, "mode is set");
                return Ok(Shown {
                    output,
                    mode,
                    buffer,
                });
            }
            Err(error) => last = refused(mode.size, error),
        }
    }
    Err(last)
}

/// A mode could not be set.
fn refused(Size { w, h }: Size, error: io::Error) -> DisplayLost {
    let what = format!("cannot set the mode {w}x{h}");
    match errno(&error) {
        Some(Errno::EACCES | Errno::EPERM) => DisplayLost::because(
            format!(
                "{what}: another process has the display (is its DRM master); \
                 stop it, or hand over a descriptor that was opened before"
            ),
            error,
        ),
        _ => DisplayLost::because(what, error),
    }
}

/// What it means that a picture could not be sent.
fn lost_or_late(error: io::Error) -> BackendError {
    match errno(&error) {
        Some(Errno::EINTR | Errno::EAGAIN | Errno::EBUSY | Errno::ENOMEM) => {
            BackendError::Frame(error.into())
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            DisplayLost::because("another process took the display", error).into()
        }
        Some(Errno::ENODEV) => DisplayLost::because("the display adapter is gone", error).into(),
        _ => DisplayLost::because("the display adapter failed", error).into(),
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// Copies the pixels of `clip`, which lies in the picture, to the same place.
fn copy<B: Buffer>(from: &Framebuffer, to: &mut B, clip: Rect) {
    let screen = Rect::at(Point::default(), to.size());
    let Some(clip) = clip.intersection(screen) else {
        return;
    };
    let stride = to.stride();
    let (start, len) = (clip.x as usize * PIXEL_BYTES, clip.w as usize * PIXEL_BYTES);
    let rows = to.bytes().chunks_exact_mut(stride).enumerate();
    for (y, row) in rows.skip(clip.y as usize).take(clip.h as usize) {
        row[start..start + len].copy_from_slice(&from.row(y)[start..start + len]);
    }
}
