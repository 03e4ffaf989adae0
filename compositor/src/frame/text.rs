//! Text to pixels, with the one bundled font.

use std::fmt;

use ab_glyph::{Font, FontRef, Glyph, GlyphId, PxScale, ScaleFont, point};

use super::{Bitmap, Rgb};
use crate::core::{Point, Rect};

/// B612 Bold, SIL Open Font License 1.1; see `assets/README.md`.
const FONT: &[u8] = include_bytes!("../../assets/B612-Bold.otf");

/// The font, parsed once (about 10 µs; glyph outlines are read in place).
pub struct TextFont(FontRef<'static>);

impl TextFont {
    /// Parses the bundled font.
    ///
    /// # Panics
    /// If the bundled file is not a font, which a test would have shown.
    #[must_use]
    pub fn bundled() -> Self {
        Self(FontRef::try_from_slice(FONT).expect("the bundled font parses"))
    }

    /// Width of `text` at `em` pixels, rounded up.
    #[must_use]
    pub fn width(&self, text: &str, em: f32) -> i32 {
        self.layout(text, em).1.ceil() as i32
    }

    /// The longest beginning of `text` that fits into `max_width`, with `…` in
    /// place of what had to go; empty when not even one letter fits.
    #[must_use]
    pub fn fit(&self, text: &str, em: f32, max_width: i32) -> String {
        if self.width(text, em) <= max_width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
        let cut = |end: usize| format!("{}…", text[..end].trim_end());
        let fitting = ends.partition_point(|&end| self.width(&cut(end), em) <= max_width);
        fitting
            .checked_sub(1)
            .map(|at| cut(ends[at]))
            .unwrap_or_default()
    }

    /// Draws one line of text into `target`, starting at its left edge and
    /// centred between its top and bottom. Nothing is drawn outside `target`.
    pub fn draw(&self, bitmap: &mut Bitmap, target: Rect, text: &str, em: f32, colour: Rgb) {
        let (glyphs, _) = self.layout(text, em);
        let scaled = self.0.as_scaled(self.scale(em));
        // Capital letters look centred when their middle is in the middle.
        let cap = self.cap_height(em);
        let baseline = (target.y as f32 + (target.h as f32 + cap) / 2.0).round();
        for mut glyph in glyphs {
            glyph.position = point(target.x as f32 + glyph.position.x, baseline);
            let Some(outline) = scaled.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
            outline.draw(|x, y, coverage| {
                let (x, y) = (
                    left.saturating_add_unsigned(x),
                    top.saturating_add_unsigned(y),
                );
                if target.contains(Point::new(x, y)) {
                    bitmap.blend(x, y, colour, coverage);
                }
            });
        }
    }

    /// Glyphs at their pen positions from 0, and the width of the line.
    fn layout(&self, text: &str, em: f32) -> (Vec<Glyph>, f32) {
        let scale = self.scale(em);
        let scaled = self.0.as_scaled(scale);
        let mut pen = 0.0;
        let mut previous: Option<GlyphId> = None;
        let mut glyphs = Vec::with_capacity(text.len());
        for c in text.chars() {
            let id = self.glyph(c);
            pen += previous.map_or(0.0, |p| scaled.kern(p, id));
            glyphs.push(id.with_scale_and_position(scale, point(pen, 0.0)));
            pen += scaled.h_advance(id);
            previous = Some(id);
        }
        (glyphs, pen)
    }

    /// The glyph of a character, of `?` where the font has none.
    fn glyph(&self, c: char) -> GlyphId {
        match self.0.glyph_id(c) {
            GlyphId(0) => self.0.glyph_id('?'),
            id => id,
        }
    }

    /// ab_glyph scales by line height; we think in ems.
    fn scale(&self, em: f32) -> PxScale {
        let units = self.0.units_per_em().unwrap_or(1000.0);
        PxScale::from(em * self.0.height_unscaled() / units)
    }

    fn cap_height(&self, em: f32) -> f32 {
        let glyph = self.0.glyph_id('H').with_scale(self.scale(em));
        self.0
            .outline_glyph(glyph)
            .map_or(em * 0.7, |outline| outline.px_bounds().height())
    }
}

impl fmt::Debug for TextFont {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextFont(B612 Bold)")
    }
}
