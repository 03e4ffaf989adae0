//! Where the parts of a frame lie.
//!
//! Everything is *outside* the client's content: no client can put a pixel on
//! a frame, and no frame hides a pixel of a client.

use crate::core::{Rect, Size};

/// Width of the coloured border in logical pixels. The design asks for at
/// least 4, so that the colour is seen from a distance.
pub const BORDER: i32 = 5;

/// Height of the title bar in logical pixels, between the top border and the
/// content: a 14-pixel text with 6 pixels above and below.
pub const TITLE_BAR: i32 = 26;

/// Room left and right of the VM's name in its label, in logical pixels.
pub const LABEL_PADDING: i32 = 8;

/// The parts of one frame, relative to its top left corner, in logical pixels.
///
/// ```text
/// +--------------------------------+  outer
/// | bar: border, label, title      |
/// +----+----------------------+----+
/// |left|  content             |right   wider than BORDER when the content is
/// +----+----------------------+----+   narrower than the VM's name
/// | bottom                         |
/// +--------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    /// Size of the whole frame with the content inside.
    pub outer: Size,
    /// Where the client's content goes.
    pub content: Rect,
    /// Top border and, for a toplevel, the title bar.
    pub bar: Rect,
    /// Left border, beside the content only.
    pub left: Rect,
    /// Right border, beside the content only.
    pub right: Rect,
    /// Bottom border, over the whole width.
    pub bottom: Rect,
}

impl FrameLayout {
    /// The frame around a window of `content` whose label needs `label_width`
    /// pixels. The name of the VM is never cut: a window narrower than its
    /// label gets a wider right border instead.
    #[must_use]
    pub fn toplevel(content: Size, label_width: i32) -> Self {
        Self::new(content, label_width.max(0), TITLE_BAR)
    }

    /// The frame around a popup of `content`.
    #[must_use]
    pub fn popup(content: Size) -> Self {
        Self::new(content, 0, 0)
    }

    /// Sizes come from clients, hence the saturating arithmetic.
    fn new(content: Size, min_inner: i32, title_bar: i32) -> Self {
        let content = Size {
            w: content.w.max(0),
            h: content.h.max(0),
        };
        let inner = content.w.max(min_inner);
        let top = BORDER + title_bar;
        let outer = Size {
            w: inner.saturating_add(2 * BORDER),
            h: content.h.saturating_add(top + BORDER),
        };
        let right = content.w.saturating_add(BORDER);
        let bottom = content.h.saturating_add(top);
        Self {
            outer,
            content: Rect::new(BORDER, top, content.w, content.h),
            bar: Rect::new(0, 0, outer.w, top),
            left: Rect::new(0, top, BORDER, content.h),
            right: Rect::new(right, top, outer.w.saturating_sub(right), content.h),
            bottom: Rect::new(0, bottom, outer.w, BORDER),
        }
    }

    /// The three parts of one plain colour: left, right, bottom.
    #[must_use]
    pub fn solids(&self) -> [Rect; 3] {
        [self.left, self.right, self.bottom]
    }
}
