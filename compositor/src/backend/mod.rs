//! Where the picture goes.

mod headless;

pub(crate) use headless::Headless;

use crate::core::Size;
use crate::render::element::SceneElement;

/// A monitor. Others than the headless one present what they drew.
pub(crate) trait Backend: std::fmt::Debug {
    /// Size in pixels.
    fn size(&self) -> Size;

    /// Draws a frame. True if a pixel may have changed.
    fn draw(&mut self, elements: &[SceneElement]) -> anyhow::Result<bool>;

    /// The picture as of the last frame, `0x00RRGGBB`, row by row.
    fn read(&self) -> Vec<u32>;
}
