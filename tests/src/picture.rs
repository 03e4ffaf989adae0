//! PNG pictures: read, compare, show the difference.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// One pixel: red, green, blue.
pub type Rgb = [u8; 3];

/// Colour of a differing pixel in a difference picture: seen at once, used by no test.
const MARKED: Rgb = [255, 0, 255];

/// A picture in memory, three bytes per pixel, rows from the top without padding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Rgb>,
}

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: Rgb) -> Self {
        Self {
            width,
            height,
            pixels: vec![colour; width * height],
        }
    }

    /// Reads an 8-bit RGB or RGBA PNG; alpha is dropped (screenshots are opaque).
    ///
    /// # Errors
    /// When it cannot be read or has another format.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut reader = png::Decoder::new(BufReader::new(file))
            .read_info()
            .context("PNG header")?;
        let size = reader.output_buffer_size().context("PNG size")?;
        let mut buf = vec![0; size];
        let info = reader.next_frame(&mut buf).context("PNG data")?;
        ensure!(
            info.bit_depth == png::BitDepth::Eight,
            "PNG with {:?} bits",
            info.bit_depth
        );
        let step = match info.color_type {
            png::ColorType::Rgb => 3,
            png::ColorType::Rgba => 4,
            other => bail!("PNG of type {other:?}"),
        };
        let width = usize::try_from(info.width).context("PNG width")?;
        let height = usize::try_from(info.height).context("PNG height")?;
        let pixels = buf[..info.buffer_size()]
            .chunks_exact(step)
            .map(|p| [p[0], p[1], p[2]])
            .collect();
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Writes an RGB PNG.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().context("PNG header")?;
        writer
            .write_image_data(self.pixels.as_flattened())
            .context("PNG data")
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixel at `x`, `y`; `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<Rgb> {
        (x < self.width)
            .then(|| self.pixels.get(y * self.width + x).copied())
            .flatten()
    }

    /// Sets one pixel; outside, nothing happens.
    pub fn set_pixel(&mut self, x: usize, y: usize, colour: Rgb) {
        if x < self.width
            && let Some(pixel) = self.pixels.get_mut(y * self.width + x)
        {
            *pixel = colour;
        }
    }

    /// The rectangle at `x`, `y` of `width` × `height` pixels.
    ///
    /// # Errors
    /// When it does not lie inside the picture.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Result<Self> {
        ensure!(
            x + width <= self.width && y + height <= self.height,
            "{width}x{height} at {x},{y} does not lie inside {}x{}",
            self.width,
            self.height
        );
        let rows = self.pixels.chunks_exact(self.width).skip(y).take(height);
        let pixels = rows.flat_map(|row| &row[x..x + width]).copied().collect();
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// How many pixels have exactly this colour.
    pub fn count(&self, colour: Rgb) -> usize {
        self.pixels.iter().filter(|pixel| **pixel == colour).count()
    }

    /// How many different colours there are.
    pub fn colours(&self) -> usize {
        let mut all = self.pixels.clone();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// Where the two differ, as a picture (this one dimmed, differences marked), and how many
    /// pixels do.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn difference(&self, other: &Self) -> Result<(usize, Self)> {
        ensure!(
            (self.width, self.height) == (other.width, other.height),
            "sizes differ: {}x{} and {}x{}",
            self.width,
            self.height,
            other.width,
            other.height
        );
        let mut count = 0;
        let pairs = self.pixels.iter().zip(&other.pixels);
        let pixels = pairs
            .map(|(a, b)| {
                if a == b {
                    return a.map(|channel| channel / 4);
                }
                count += 1;
                MARKED
            })
            .collect();
        Ok((
            count,
            Self {
                width: self.width,
                height: self.height,
                pixels,
            },
        ))
    }

    /// Passes when both are equal pixel for pixel. When not, writes `NAME-expected.png`,
    /// `NAME-actual.png` and `NAME-difference.png` into `out`.
    ///
    /// # Errors
    /// When they differ; the message says by how many pixels and where the pictures are.
    pub fn expect_equal(&self, actual: &Self, name: &str, out: &Path) -> Result<()> {
        let (count, difference) = self.difference(actual)?;
        if count == 0 {
            return Ok(());
        }
        std::fs::create_dir_all(out).context("directory for the pictures")?;
        self.write(&out.join(format!("{name}-expected.png")))?;
        actual.write(&out.join(format!("{name}-actual.png")))?;
        difference.write(&out.join(format!("{name}-difference.png")))?;
        bail!(
            "{name}: {count} pixels differ, see {}/{name}-*.png",
            out.display()
        )
    }
}

#[cfg(test)]
mod tests;
