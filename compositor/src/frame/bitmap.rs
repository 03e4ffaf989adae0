//! A plain rectangle of pixels in our own memory.

use super::Rgb;
use crate::core::{Rect, Size};

/// Opaque pixels, row after row without padding.
///
/// Each pixel is `0xffRRGGBB` in native byte order: DRM `XRGB8888`, pixman
/// `x8r8g8b8` and `a8r8g8b8` on the little-endian machines we run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    size: Size,
    pixels: Vec<u32>,
}

impl Bitmap {
    /// A bitmap of one colour; a negative side counts as 0.
    #[must_use]
    pub fn new(size: Size, colour: Rgb) -> Self {
        let size = Size {
            w: size.w.max(0),
            h: size.h.max(0),
        };
        Self {
            size,
            pixels: vec![colour.pixel(); side(size.w) * side(size.h)],
        }
    }

    /// Width and height in pixels, never negative.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// All pixels, `size().w * size().h` of them.
    #[must_use]
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// The pixel at column `x` of row `y`, or `None` outside.
    #[must_use]
    pub fn get(&self, x: i32, y: i32) -> Option<Rgb> {
        self.index(x, y).map(|at| Rgb::from_u32(self.pixels[at]))
    }

    /// Fills the part of `rect` that lies inside.
    pub fn fill(&mut self, rect: Rect, colour: Rgb) {
        let (x0, x1) = (
            rect.x.clamp(0, self.size.w),
            rect.x.saturating_add(rect.w).clamp(0, self.size.w),
        );
        let (y0, y1) = (
            rect.y.clamp(0, self.size.h),
            rect.y.saturating_add(rect.h).clamp(0, self.size.h),
        );
        for y in y0..y1.max(y0) {
            let row = side(y) * side(self.size.w);
            self.pixels[row + side(x0)..row + side(x1.max(x0))].fill(colour.pixel());
        }
    }

    /// Copies `source` to (`x`, `y`), at most `max_width` columns of it; what
    /// falls outside is left out.
    pub(crate) fn copy_from(&mut self, source: &Self, x: i32, y: i32, max_width: i32) {
        let columns = source.size.w.min(max_width).min(self.size.w - x);
        if x < 0 || columns <= 0 {
            return;
        }
        for row in 0..source.size.h {
            let Some(to) = self.index(x, y + row) else {
                continue;
            };
            let from = side(row) * side(source.size.w);
            self.pixels[to..to + side(columns)]
                .copy_from_slice(&source.pixels[from..from + side(columns)]);
        }
    }

    /// Covers one pixel with `colour`, `coverage` from 0.0 to 1.0; outside: nothing.
    pub(crate) fn blend(&mut self, x: i32, y: i32, colour: Rgb, coverage: f32) {
        if let Some(at) = self.index(x, y) {
            self.pixels[at] = Rgb::from_u32(self.pixels[at]).mix(colour, coverage).pixel();
        }
    }

    fn index(&self, x: i32, y: i32) -> Option<usize> {
        ((0..self.size.w).contains(&x) && (0..self.size.h).contains(&y))
            .then(|| side(y) * side(self.size.w) + side(x))
    }
}

/// A coordinate already known not to be negative.
fn side(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
