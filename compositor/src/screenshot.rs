//! Pictures of the screen as PNG.

use std::io::{self, Write};

/// Pixels to be written: `0xAARRGGBB` in native byte order, row after row
/// without padding. Alpha is ignored, a screen has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` pixels.
    pub pixels: Vec<u32>,
}

/// Writes `picture` as an 8-bit RGB PNG.
///
/// # Errors
/// When the writer fails, or when the number of pixels is not width times height.
pub fn write_png(picture: &Picture, out: impl Write) -> io::Result<()> {
    let expected = u64::from(picture.width) * u64::from(picture.height);
    if u64::try_from(picture.pixels.len()).ok() != Some(expected) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "pixel count is not width times height",
        ));
    }
    let mut encoder = png::Encoder::new(out, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // A screenshot holds the compositor's loop up while it is encoded.
    encoder.set_compression(png::Compression::Fast);
    let rgb: Vec<u8> = picture
        .pixels
        .iter()
        .flat_map(|pixel| {
            let [_, r, g, b] = pixel.to_be_bytes();
            [r, g, b]
        })
        .collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_the_round_trip() {
        let picture = Picture {
            width: 2,
            height: 2,
            pixels: vec![0xffff_0000, 0xff00_ff00, 0xff00_00ff, 0xff12_3456],
        };
        let mut file = Vec::new();
        write_png(&picture, &mut file).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; 12];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2, 2));
        assert_eq!(pixels, [255, 0, 0, 0, 255, 0, 0, 0, 255, 0x12, 0x34, 0x56]);
    }

    #[test]
    fn a_wrong_pixel_count_is_refused() {
        let picture = Picture {
            width: 2,
            height: 2,
            pixels: vec![0; 3],
        };
        assert_eq!(
            write_png(&picture, Vec::new()).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
