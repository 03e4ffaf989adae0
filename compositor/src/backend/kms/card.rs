//! What of a display adapter is needed: the seam between decisions and ioctls.

use std::fmt;
use std::io;

use crate::core::{Rect, Size};

/// A display adapter whose screen is ours.
pub(crate) trait Card: fmt::Debug {
    /// A monitor's socket and what drives it.
    type Output: Copy + PartialEq + fmt::Debug;
    /// All the kernel knows of a mode.
    type Timing: Copy + PartialEq + fmt::Debug;
    /// Memory the adapter can show; given back when dropped, and no more shown then.
    type Buffer: Buffer;

    /// Asks which monitors are connected now, in the kernel's order.
    fn monitors(&self) -> io::Result<Vec<Monitor<Self>>>;

    /// Zeroed memory for a picture.
    fn buffer(&self, size: Size) -> io::Result<Self::Buffer>;

    /// Makes a monitor show a buffer of the mode's size.
    fn show(
        &self,
        output: Self::Output,
        timing: Self::Timing,
        buffer: &Self::Buffer,
    ) -> io::Result<()>;

    /// Tells that the part `clip` of the buffer that is shown has new pixels.
    fn flush(&self, buffer: &Self::Buffer, clip: Rect) -> io::Result<()>;

    /// Switches a monitor off.
    fn hide(&self, output: Self::Output) -> io::Result<()>;
}

/// Memory an adapter shows: rows of 4 bytes per pixel, `B G R x`.
pub(crate) trait Buffer: fmt::Debug {
    /// Width and height in pixels.
    fn size(&self) -> Size;

    /// Bytes from one row to the next; not less than four for each pixel.
    fn stride(&self) -> usize;

    /// All rows; at least `stride * height` bytes.
    fn bytes(&mut self) -> &mut [u8];
}

/// A connected monitor.
#[derive(Debug)]
pub(crate) struct Monitor<C: Card + ?Sized> {
    pub(crate) output: C::Output,
    pub(crate) modes: Vec<Mode<C::Timing>>,
}

/// Something a monitor can show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mode<T> {
    pub(crate) size: Size,
    /// Pictures per second.
    pub(crate) refresh: u32,
    /// The monitor likes it best.
    pub(crate) preferred: bool,
    pub(crate) timing: T,
}
