//! Colours of a frame, and which text colour stays readable on them.

use crate::label::Colour;

/// An opaque sRGB colour, 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb {
    /// Red, 0 to 255.
    pub r: u8,
    /// Green, 0 to 255.
    pub g: u8,
    /// Blue, 0 to 255.
    pub b: u8,
}

impl Rgb {
    /// Black.
    pub const BLACK: Self = Self::from_u32(0);
    /// White.
    pub const WHITE: Self = Self::from_u32(0x00ff_ffff);

    /// The colour `0x00RRGGBB`, as an accept record carries it; the top byte is ignored.
    #[must_use]
    pub const fn from_u32(rgb: u32) -> Self {
        let [_, r, g, b] = rgb.to_be_bytes();
        Self { r, g, b }
    }

    /// One pixel in the layout of [`Bitmap`](super::Bitmap): `0xffRRGGBB`.
    #[must_use]
    pub const fn pixel(self) -> u32 {
        u32::from_be_bytes([0xff, self.r, self.g, self.b])
    }

    /// Relative luminance of WCAG 2.1, from 0.0 (black) to 1.0 (white).
    #[must_use]
    pub fn luminance(self) -> f32 {
        let linear = |channel: u8| {
            let c = f32::from(channel) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.r) + 0.7152 * linear(self.g) + 0.0722 * linear(self.b)
    }

    /// Contrast ratio of WCAG 2.1 between two colours, from 1.0 to 21.0.
    #[must_use]
    pub fn contrast(self, other: Self) -> f32 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Black or white, whichever is easier to read on this colour.
    ///
    /// The better of the two is never below 4.58:1, which is above the 4.5:1
    /// that WCAG asks for text.
    #[must_use]
    pub fn text(self) -> Self {
        if self.contrast(Self::BLACK) >= self.contrast(Self::WHITE) {
            Self::BLACK
        } else {
            Self::WHITE
        }
    }

    /// `self` covered by `over` with `coverage` from 0.0 to 1.0.
    #[must_use]
    pub fn mix(self, over: Self, coverage: f32) -> Self {
        let coverage = coverage.clamp(0.0, 1.0);
        let channel = |a: u8, b: u8| {
            let (a, b) = (f32::from(a), f32::from(b));
            // Between two values of a u8, so the cast cannot truncate.
            (a + (b - a) * coverage).round() as u8
        };
        Self {
            r: channel(self.r, over.r),
            g: channel(self.g, over.g),
            b: channel(self.b, over.b),
        }
    }
}

impl From<Colour> for Rgb {
    fn from(colour: Colour) -> Self {
        Self::from_u32(colour.to_u32())
    }
}
