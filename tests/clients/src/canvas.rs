//! A picture in memory, drawn deterministically: frame `n` is the same in every run.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::pool::PIXEL;
use crate::window::Rect;

/// Side of a square of the checked pattern in pixels; not a divisor of 1080, so that the last row
/// is a partial one.
const SQUARE: usize = 56;
/// Rectangles changed by one frame: several, so that damage is a list and not one box.
const CHANGES: u64 = 7;
/// Largest side of a changed rectangle in pixels.
const LARGEST_CHANGE: usize = 230;

/// The unused byte of a pixel. weston's screenshots take it for opacity.
const UNUSED: u8 = 0xff;

/// XRGB8888 pixels in memory order (blue, green, red, [`UNUSED`]).
#[derive(Clone, Debug)]
pub struct Canvas {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

/// A number that looks random and depends only on `seed` (splitmix64).
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `limit` from a seed.
fn below(seed: u64, limit: usize) -> usize {
    // Both fit: limits here are picture sides, and the remainder is below the limit.
    usize::try_from(mix(seed) % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or(0)
}

impl Canvas {
    /// Frame 0: squares of many colours over the whole picture.
    pub fn new(width: usize, height: usize) -> Self {
        let mut canvas = Self {
            width,
            height,
            bytes: vec![0; width * height * PIXEL],
        };
        let squares = |side: usize| side.div_ceil(SQUARE);
        for row in 0..squares(height) {
            for column in 0..squares(width) {
                let (x, y) = (column * SQUARE, row * SQUARE);
                let rect = Rect {
                    x,
                    y,
                    width: SQUARE.min(width - x),
                    height: SQUARE.min(height - y),
                };
                canvas.fill(rect, (row * squares(width) + column) as u64);
            }
        }
        canvas
    }

    /// Draws frame `frame` over the one before it, and says what has changed.
    pub fn advance(&mut self, frame: u32) -> Vec<Rect> {
        let changes = (0..CHANGES).map(|index| {
            let seed = mix(u64::from(frame)) ^ (index << 8);
            let width = 1 + below(seed ^ 1, LARGEST_CHANGE.min(self.width));
            let height = 1 + below(seed ^ 2, LARGEST_CHANGE.min(self.height));
            Rect {
                x: below(seed ^ 3, self.width - width + 1),
                y: below(seed ^ 4, self.height - height + 1),
                width,
                height,
            }
        });
        let changes: Vec<Rect> = changes.collect();
        for (index, rect) in changes.iter().enumerate() {
            self.fill(*rect, mix(u64::from(frame)).wrapping_add(index as u64));
        }
        changes
    }

    /// One colour with a fine texture, so that a picture moved by one pixel is not equal.
    fn fill(&mut self, rect: Rect, seed: u64) {
        let [blue, green, red, ..] = mix(seed).to_le_bytes();
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                let texture = u8::from((x ^ y) & 1 == 1) * 8 + u8::from(x % 5 == 0) * 16;
                let at = (y * self.width + x) * PIXEL;
                self.bytes[at..at + PIXEL].copy_from_slice(&[
                    blue.wrapping_add(texture),
                    green ^ texture,
                    red,
                    UNUSED,
                ]);
            }
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// All bytes, rows from the top.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The rows of a rectangle: byte offset in the picture, and the bytes.
    pub fn rows(&self, rect: Rect) -> impl Iterator<Item = (usize, &[u8])> {
        (rect.y..rect.y + rect.height).map(move |y| {
            let at = (y * self.width + rect.x) * PIXEL;
            (at, &self.bytes[at..at + rect.width * PIXEL])
        })
    }

    /// Writes it as an RGB PNG.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let rgb: Vec<u8> = self
            .bytes
            .chunks_exact(PIXEL)
            .flat_map(|p| [p[2], p[1], p[0]])
            .collect();
        let mut writer = encoder.write_header().context("PNG header")?;
        writer.write_image_data(&rgb).context("PNG data")
    }
}
