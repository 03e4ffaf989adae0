//! The frame around every window: whose it is, in colour and in words.
//!
//! A frame is made of trusted facts only, except for one strip. The border and
//! the *label* (the VM's name on the VM's colour, at the left of the title bar)
//! come from the host's configuration. Right of the label, behind a separator
//! and on a neutral ground that no label has, stands the client's window title
//! ([`title`]). Focus changes that neutral ground only: the VM's colour is the same
//! on a focused and on an unfocused window.
//!
//! * [`geometry`]: where the parts lie; all of them outside the content
//! * [`Painter`]: text and pixels, labels cached
//! * [`Bitmap`], [`Rgb`]: what it produces

mod bitmap;
mod colour;
pub mod geometry;
mod painter;
mod text;
pub mod title;

#[cfg(test)]
mod tests;

pub use bitmap::Bitmap;
pub use colour::Rgb;
pub use geometry::FrameLayout;
pub use painter::{BarSpec, Painter};
pub use text::TextFont;
