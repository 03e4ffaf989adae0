//! From windows to a picture. The only caller of the renderer.
//!
//! Each window is drawn in this order, top first: popups and their borders,
//! the frame, the client's content, and an opaque ground under it. So every
//! pixel inside a frame comes from that frame's VM, and none of a frame from a
//! client.

mod art;
mod cursor;
pub(crate) mod element;
pub(crate) mod pixels;

use anyhow::Context;
use smithay::backend::renderer::Bind;
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::utils::Transform;

pub(crate) use art::{Art, Look, PopupPart};
pub(crate) use cursor::Cursor;

use crate::core::{Rect, Size};
use element::SceneElement;
use pixels::Framebuffer;

/// Colour of the monitor where no window is.
const BACKGROUND: [f32; 4] = [0.16, 0.18, 0.20, 1.0];

/// A picture in memory and what is needed to bring it up to date.
#[derive(Debug)]
pub(crate) struct Canvas {
    renderer: PixmanRenderer,
    tracker: OutputDamageTracker,
    framebuffer: Framebuffer,
    /// Frames since the picture was made; 0 means it holds nothing.
    age: usize,
}

impl Canvas {
    pub(crate) fn new(size: Size) -> anyhow::Result<Self> {
        Ok(Self {
            renderer: PixmanRenderer::new().context("cannot create the renderer")?,
            tracker: OutputDamageTracker::new((size.w, size.h), 1.0, Transform::Normal),
            framebuffer: Framebuffer::new(size)
                .with_context(|| format!("cannot make a picture of {}x{}", size.w, size.h))?,
            age: 0,
        })
    }

    /// Brings the picture up to date. Answers where pixels may have changed.
    pub(crate) fn draw(&mut self, elements: &[SceneElement]) -> anyhow::Result<Vec<Rect>> {
        let mut target = self
            .renderer
            .bind(self.framebuffer.image_mut())
            .context("cannot draw into the picture")?;
        let result = self.tracker.render_output(
            &mut self.renderer,
            &mut target,
            self.age,
            elements,
            BACKGROUND,
        );
        match result {
            Ok(drawn) => {
                self.age = 1;
                let rects = drawn.damage.into_iter().flatten();
                Ok(rects
                    .map(|r| Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h))
                    .collect())
            }
            Err(error) => {
                // Unknown what arrived: draw all of it next time.
                self.age = 0;
                Err(anyhow::anyhow!("cannot draw a frame: {error}"))
            }
        }
    }

    pub(crate) fn framebuffer(&self) -> &Framebuffer {
        &self.framebuffer
    }
}
