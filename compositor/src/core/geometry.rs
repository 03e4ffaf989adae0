//! Whole-pixel geometry in compositor space.
//!
//! Coordinates come from clients, so every operation saturates: an absurd
//! value may put a rectangle nowhere useful, never panic or wrap around.

/// A position in pixels; compositor space unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Point {
    /// Pixels to the right.
    pub x: i32,
    /// Pixels down.
    pub y: i32,
}

/// A position with a fraction, as pointers have.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PointF {
    /// Pixels to the right.
    pub x: f64,
    /// Pixels down.
    pub y: f64,
}

/// A size in pixels; never negative when built by [`Size::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Size {
    /// Width in pixels.
    pub w: i32,
    /// Height in pixels.
    pub h: i32,
}

/// A rectangle of pixels: the top left corner belongs to it, the far edges do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width; never negative when built by [`Rect::new`].
    pub w: i32,
    /// Height; never negative when built by [`Rect::new`].
    pub h: i32,
}

impl Point {
    /// A point.
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }

    /// The same point seen from `origin`.
    pub fn relative_to(self, origin: Point) -> Self {
        Self::new(
            self.x.saturating_sub(origin.x),
            self.y.saturating_sub(origin.y),
        )
    }

    /// This point moved by `by`.
    pub fn offset(self, by: Point) -> Self {
        Self::new(self.x.saturating_add(by.x), self.y.saturating_add(by.y))
    }
}

impl PointF {
    /// A point.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// The pixel this position lies in.
    pub fn pixel(self) -> Point {
        // `as` saturates for floats, which is what is wanted here.
        Point::new(self.x.floor() as i32, self.y.floor() as i32)
    }

    /// The same position seen from `origin`.
    pub fn relative_to(self, origin: Point) -> Self {
        Self::new(self.x - f64::from(origin.x), self.y - f64::from(origin.y))
    }
}

impl Size {
    /// A size; negative values become 0.
    pub const fn new(w: i32, h: i32) -> Self {
        Self {
            w: if w < 0 { 0 } else { w },
            h: if h < 0 { 0 } else { h },
        }
    }

    /// True if no pixel fits in.
    pub const fn is_empty(self) -> bool {
        self.w == 0 || self.h == 0
    }

    /// Number of pixels.
    pub fn area(self) -> u64 {
        u64::from(self.w.unsigned_abs()) * u64::from(self.h.unsigned_abs())
    }
}

impl Rect {
    /// A rectangle; a negative width or height becomes 0.
    pub const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        let Size { w, h } = Size::new(w, h);
        Self { x, y, w, h }
    }

    /// A rectangle of `size` at `at`.
    pub const fn at(at: Point, size: Size) -> Self {
        Self::new(at.x, at.y, size.w, size.h)
    }

    /// Top left corner.
    pub const fn origin(self) -> Point {
        Point::new(self.x, self.y)
    }

    /// Width and height.
    pub const fn size(self) -> Size {
        Size::new(self.w, self.h)
    }

    /// First column to the right of the rectangle.
    pub const fn right(self) -> i32 {
        self.x.saturating_add(self.w)
    }

    /// First row below the rectangle.
    pub const fn bottom(self) -> i32 {
        self.y.saturating_add(self.h)
    }

    /// True if no pixel lies in it.
    pub const fn is_empty(self) -> bool {
        self.size().is_empty()
    }

    /// True if the pixel at `p` lies in the rectangle.
    pub const fn contains(self, p: Point) -> bool {
        p.x >= self.x && p.y >= self.y && p.x < self.right() && p.y < self.bottom()
    }

    /// The part that lies in both, or `None`.
    pub fn intersection(self, other: Rect) -> Option<Rect> {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let w = self.right().min(other.right()).saturating_sub(x);
        let h = self.bottom().min(other.bottom()).saturating_sub(y);
        (w > 0 && h > 0).then(|| Rect::new(x, y, w, h))
    }

    /// The smallest rectangle that holds both; an empty one adds nothing.
    pub fn union(self, other: Rect) -> Rect {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        Rect::new(
            x,
            y,
            self.right().max(other.right()).saturating_sub(x),
            self.bottom().max(other.bottom()).saturating_sub(y),
        )
    }

    /// The same rectangle moved by `by`.
    pub fn offset(self, by: Point) -> Rect {
        Rect::at(self.origin().offset(by), self.size())
    }

    /// Grown outwards on each side.
    pub const fn grow(self, left: i32, top: i32, right: i32, bottom: i32) -> Rect {
        Rect::new(
            self.x.saturating_sub(left),
            self.y.saturating_sub(top),
            self.w.saturating_add(left).saturating_add(right),
            self.h.saturating_add(top).saturating_add(bottom),
        )
    }
}
