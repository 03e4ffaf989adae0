//! Pixels in our own memory, in the form pixman draws from.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;

use smithay::backend::renderer::pixman::PixmanTexture;
use smithay::reexports::pixman::{FormatCode, Image};

use crate::core::{Rect, Size};

/// Widest and highest picture. Pixman computes in 16.16 fixed point; half of
/// its range leaves room for offsets.
pub(crate) const MAX_SIDE: i32 = 16_384;

/// Bytes of one pixel; the two formats every client may use have four.
pub(crate) const PIXEL_BYTES: usize = 4;

/// A picture that is drawn from and, between frames, written to.
pub(crate) struct PixelBuffer {
    texture: PixmanTexture,
    /// First pixel. Lives as long as `texture`, which owns the memory.
    data: NonNull<u32>,
    /// Pixels from one row to the next.
    stride: usize,
    size: Size,
    opaque: bool,
}

impl PixelBuffer {
    /// A zeroed picture, `None` if it is empty, too large or there is no memory.
    pub(crate) fn new(size: Size, opaque: bool) -> Option<Self> {
        let image = image(size, opaque)?;
        let stride = image.stride() / PIXEL_BYTES;
        // SAFETY: the image owns its bits, which pixman allocates once and
        // frees with the image; `texture` below keeps the image.
        let data = NonNull::new(unsafe { image.data() })?;
        Some(Self {
            texture: PixmanTexture::from(image),
            data,
            stride,
            size,
            opaque,
        })
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(crate) fn texture(&self) -> &PixmanTexture {
        &self.texture
    }

    /// Writes all pixels, row by row; extra ones are left out.
    pub(crate) fn write(&mut self, pixels: &[u32]) {
        let width = self.size.w as usize;
        if width == 0 {
            return;
        }
        for (y, row) in pixels
            .chunks_exact(width)
            .take(self.size.h as usize)
            .enumerate()
        {
            // SAFETY: `y` is below the height and a row has `width` pixels.
            // Nobody else reads or writes: pixman does so only while a frame is
            // drawn, on this thread, and `self` is borrowed exclusively now.
            unsafe {
                let to = self.data.add(y * self.stride);
                to.copy_from_nonoverlapping(NonNull::from(row).cast(), width);
            }
        }
    }

    /// Copies `rect` out of foreign memory that starts at `from` and has
    /// `stride` bytes from one row of the whole picture to the next.
    ///
    /// # Safety
    /// For all rows and columns of `rect`, the 4 bytes at
    /// `from + row * stride + column * 4` must be mapped (a fault is fine where
    /// a handler repairs it). Others may write them meanwhile: what arrives
    /// then is any mixture, and it is only ever pixels.
    pub(crate) unsafe fn copy_from(&mut self, from: *const u8, stride: usize, rect: Rect) {
        let bounds = Rect::at(Default::default(), self.size);
        let Some(rect) = rect.intersection(bounds) else {
            return;
        };
        let (x, w) = (rect.x as usize, rect.w as usize);
        for y in rect.y as usize..rect.bottom() as usize {
            // SAFETY: the target lies inside by the intersection above, the
            // source by the caller's word. Bytes are copied, so no alignment
            // is needed, and no reference to foreign memory is made.
            unsafe {
                let to = self.data.add(y * self.stride + x).cast::<u8>();
                let from = from.add(y * stride + x * PIXEL_BYTES);
                std::ptr::copy_nonoverlapping(from, to.as_ptr(), w * PIXEL_BYTES);
            }
        }
    }
}

impl fmt::Debug for PixelBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PixelBuffer")
            .field("size", &self.size)
            .field("opaque", &self.opaque)
            .finish_non_exhaustive()
    }
}

/// What a frame is drawn into: the monitor's picture in ordinary memory.
pub(crate) struct Framebuffer {
    image: Image<'static, 'static>,
    size: Size,
}

impl Framebuffer {
    pub(crate) fn new(size: Size) -> Option<Self> {
        let image = image(size, true)?;
        Some(Self { image, size })
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn image_mut(&mut self) -> &mut Image<'static, 'static> {
        &mut self.image
    }

    /// The pixels of a row, four bytes each in native order. Panics below the picture.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        assert!(y < self.size.h as usize, "row {y} of {:?}", self.size);
        let (width, stride) = (self.size.w as usize, self.image.stride());
        // SAFETY: the image owns `height` rows of `stride` bytes, each with
        // `width` pixels, and nobody draws while it is borrowed.
        unsafe {
            let row = self.image.data().cast::<u8>().add(y * stride);
            std::slice::from_raw_parts(row, width * PIXEL_BYTES)
        }
    }

    /// A copy of all pixels, `0x00RRGGBB`, row by row without padding.
    pub(crate) fn read(&self) -> Vec<u32> {
        let mut out = Vec::with_capacity(self.size.area() as usize);
        for y in 0..self.size.h as usize {
            let (pixels, _) = self.row(y).as_chunks();
            out.extend(pixels.iter().map(|p| u32::from_ne_bytes(*p) & 0x00ff_ffff));
        }
        out
    }
}

impl fmt::Debug for Framebuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framebuffer")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

fn image(size: Size, opaque: bool) -> Option<Image<'static, 'static>> {
    if size.is_empty() || size.w > MAX_SIDE || size.h > MAX_SIDE {
        return None;
    }
    let format = if opaque {
        FormatCode::X8R8G8B8
    } else {
        FormatCode::A8R8G8B8
    };
    Image::new(format, size.w as usize, size.h as usize, true).ok()
}
