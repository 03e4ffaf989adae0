//! How a buffer is turned, scaled and cropped into a surface.

use smithay::utils::{Buffer, Logical, Rectangle, Transform};
use smithay::wayland::compositor::SurfaceData;
use smithay::wayland::viewporter::{ViewportCachedState, ensure_viewport_valid};

use crate::core::{Rect, Size};
use crate::render::pixels::MAX_SIDE;

/// Largest and smallest ratio between a pixel on the monitor and one of the
/// buffer. Pixman multiplies in 16.16 fixed point; beyond this a picture
/// would be one smeared pixel anyway, and is not shown.
const MAX_RATIO: f64 = 512.0;

/// From buffer to surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Size of the surface, pixels.
    pub(super) size: Size,
    pub(super) transform: Transform,
    /// The part of the buffer that is shown, in surface units before the
    /// viewport scales it.
    crop: Rectangle<f64, Logical>,
    /// Size of the whole buffer in the same units.
    logical: smithay::utils::Size<f64, Logical>,
    scale: f64,
}

impl Default for View {
    fn default() -> Self {
        Self {
            size: Size::default(),
            transform: Transform::Normal,
            crop: Rectangle::default(),
            logical: Default::default(),
            scale: 1.0,
        }
    }
}

impl View {
    /// The view of a surface with a buffer of `buffer` pixels. If the viewport does not fit
    /// the buffer the client is told so, and sees nothing of the surface.
    pub(super) fn new(
        states: &SurfaceData,
        buffer: Size,
        scale: i32,
        transform: Transform,
    ) -> Self {
        let scale = scale.max(1);
        let turned: smithay::utils::Size<i32, Buffer> =
            transform.transform_size((buffer.w, buffer.h).into());
        let (w, h) = (turned.w / scale, turned.h / scale);
        let valid = ensure_viewport_valid(states, (w, h).into());
        let mut cached = states.cached_state.get::<ViewportCachedState>();
        let viewport = *cached.current();
        let logical = smithay::utils::Size::from((f64::from(w), f64::from(h)));
        let size = viewport.size().unwrap_or((w, h).into());
        let size = if valid {
            Size::new(size.w.min(MAX_SIDE), size.h.min(MAX_SIDE))
        } else {
            Size::default()
        };
        Self {
            size,
            transform,
            crop: viewport.src.unwrap_or(Rectangle::from_size(logical)),
            logical,
            scale: f64::from(scale),
        }
    }

    /// True if no viewport is set, so that surface damage is buffer damage.
    pub(super) fn is_plain(states: &SurfaceData) -> bool {
        let mut cached = states.cached_state.get::<ViewportCachedState>();
        let viewport = cached.current();
        viewport.src.is_none() && viewport.dst.is_none()
    }

    /// The buffer pixels behind `local`, a part of the surface; `None` if that
    /// cannot be drawn.
    pub(super) fn source(&self, local: Rect, buffer: Size) -> Option<Rectangle<f64, Buffer>> {
        if self.size.is_empty() || local.is_empty() {
            return None;
        }
        let fx = self.crop.size.w / f64::from(self.size.w);
        let fy = self.crop.size.h / f64::from(self.size.h);
        let part: Rectangle<f64, Logical> = Rectangle::new(
            (
                self.crop.loc.x + f64::from(local.x) * fx,
                self.crop.loc.y + f64::from(local.y) * fy,
            )
                .into(),
            (f64::from(local.w) * fx, f64::from(local.h) * fy).into(),
        );
        let src = part.to_buffer(self.scale, self.transform, &self.logical);
        let bounds = Rectangle::from_size((f64::from(buffer.w), f64::from(buffer.h)).into());
        let drawable = |ratio: f64| (1.0 / MAX_RATIO..=MAX_RATIO).contains(&ratio);
        (drawable(fx * self.scale) && drawable(fy * self.scale))
            .then(|| src.intersection(bounds))
            .flatten()
            .filter(|src| src.size.w >= 1.0 / MAX_RATIO && src.size.h >= 1.0 / MAX_RATIO)
    }
}
