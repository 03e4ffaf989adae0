//! One window as the core sees it.

use super::{Point, Rect, Size, WindowId};
use crate::frame::FrameLayout;

/// A mapped window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub(super) id: WindowId,
    pub(super) at: Point,
    pub(super) content: Size,
    pub(super) label_width: i32,
    pub(super) popups: Vec<Rect>,
}

impl Window {
    /// Which window.
    pub fn id(&self) -> WindowId {
        self.id
    }

    /// The parts of its frame, relative to [`frame`](Self::frame)'s corner.
    pub fn layout(&self) -> FrameLayout {
        FrameLayout::toplevel(self.content, self.label_width)
    }

    /// Frame and content together, compositor pixels.
    pub fn frame(&self) -> Rect {
        Rect::at(self.at, self.layout().outer)
    }

    /// The client's content, compositor pixels.
    pub fn content(&self) -> Rect {
        self.layout().content.offset(self.at)
    }

    /// Its popups' contents, compositor pixels, topmost first.
    pub fn popups(&self) -> impl Iterator<Item = Rect> + '_ {
        let origin = self.content().origin();
        self.popups.iter().rev().map(move |r| r.offset(origin))
    }

    /// What of the window lies under `p`.
    pub(super) fn part_at(&self, p: Point) -> Option<Part> {
        for popup in self.popups() {
            if popup.contains(p) {
                return Some(Part::Content);
            }
            if popup_frame(popup).contains(p) {
                return Some(Part::PopupFrame);
            }
        }
        let frame = self.frame();
        if !frame.contains(p) {
            return None;
        }
        let layout = self.layout();
        let local = p.relative_to(self.at);
        if layout.content.contains(local) {
            return Some(Part::Content);
        }
        let border = layout.left.w;
        let edges = Edges {
            left: local.x < border,
            right: local.x >= layout.outer.w.saturating_sub(border),
            top: local.y < border,
            bottom: local.y >= layout.outer.h.saturating_sub(border),
        };
        Some(if edges == Edges::default() {
            Part::Title
        } else {
            Part::Border(edges)
        })
    }
}

/// The frame around a popup whose content is `content`.
pub fn popup_frame(content: Rect) -> Rect {
    let layout = FrameLayout::popup(content.size());
    let corner = content.origin().relative_to(layout.content.origin());
    Rect::at(corner, layout.outer)
}

/// A part of a window that treats the pointer in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What a client draws, of the window or of one of its popups.
    Content,
    /// The title bar, and what fills up a frame wider than its content.
    Title,
    /// The border, with the edges it belongs to.
    Border(Edges),
    /// The border of a popup, which does nothing.
    PopupFrame,
}

/// Edges of a window that follow the pointer while it is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edges {
    /// The left edge.
    pub left: bool,
    /// The right edge.
    pub right: bool,
    /// The top edge.
    pub top: bool,
    /// The bottom edge.
    pub bottom: bool,
}
