//! A monitor that is a picture in memory.

use super::{Backend, BackendError};
use crate::core::Size;
use crate::render::Canvas;
use crate::render::element::SceneElement;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Headless(Canvas);

impl Headless {
    /// A monitor of this size in pixels.
    pub(crate) fn new(size: Size) -> anyhow::Result<Self> {
        Canvas::new(size).map(Self)
    }
}

impl Backend for Headless {
    fn size(&self) -> Size {
        self.0.framebuffer().size()
    }

    fn draw(&mut self, elements: &[SceneElement]) -> Result<(), BackendError> {
        self.0.draw(elements).map_err(BackendError::Frame)?;
        Ok(())
    }

    fn read(&self) -> Vec<u32> {
        self.0.framebuffer().read()
    }
}
