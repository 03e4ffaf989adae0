//! Which part of a buffer differs from what it was some commits ago.
//!
//! A client that draws into buffers in turn says at each commit how the
//! surface changed since the commit before. A copy of a buffer that was made
//! `n` commits ago differs from that buffer by at most the damage of the last
//! `n` commits together.

/// Rectangles kept before they are joined into one.
const MAX_RECTS: usize = 8;

/// Commits remembered; an older copy is made anew.
const MAX_AGE: usize = 8;

/// A rectangle in pixels, never empty; ends are exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub left: i32,
    /// Upper edge.
    pub top: i32,
    /// Right edge.
    pub right: i32,
    /// Lower edge.
    pub bottom: i32,
}

impl Rect {
    /// From a client's numbers; `None` when it is empty. Edges saturate.
    #[must_use]
    pub fn from_size(x: i32, y: i32, width: i32, height: i32) -> Option<Self> {
        let rect = Self {
            left: x,
            top: y,
            right: x.saturating_add(width),
            bottom: y.saturating_add(height),
        };
        (width > 0 && height > 0).then_some(rect)
    }

    /// The same area in a buffer of `factor` pixels for each unit. Edges
    /// saturate.
    #[must_use]
    pub fn scaled(self, factor: i32) -> Self {
        let scale = |edge: i32| edge.saturating_mul(factor);
        Self {
            left: scale(self.left),
            top: scale(self.top),
            right: scale(self.right),
            bottom: scale(self.bottom),
        }
    }

    /// The part of it inside a buffer; `None` when there is none.
    #[must_use]
    pub fn clipped(self, width: i32, height: i32) -> Option<Self> {
        let rect = Self {
            left: self.left.max(0),
            top: self.top.max(0),
            right: self.right.min(width),
            bottom: self.bottom.min(height),
        };
        (rect.left < rect.right && rect.top < rect.bottom).then_some(rect)
    }

    fn join(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A set of rectangles of bounded size that covers at least what was added.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    rects: [Rect; MAX_RECTS],
    len: usize,
    whole: bool,
}

impl Damage {
    /// Everything.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    /// Adds everything.
    pub fn add_whole(&mut self) {
        self.whole = true;
    }

    /// Adds a rectangle.
    pub fn add(&mut self, rect: Rect) {
        if self.whole {
            return;
        }
        if self.len == MAX_RECTS {
            let joined = self.rects.iter().fold(rect, |all, one| all.join(*one));
            self.rects[0] = joined;
            self.len = 1;
        } else {
            self.rects[self.len] = rect;
            self.len += 1;
        }
    }

    /// Adds all of another set.
    pub fn add_all(&mut self, other: &Self) {
        self.whole |= other.whole;
        for rect in other.rects() {
            self.add(*rect);
        }
    }

    /// Whether it covers everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The rectangles, not disjoint; meaningless when [`is_whole`](Self::is_whole).
    #[must_use]
    pub fn rects(&self) -> &[Rect] {
        &self.rects[..self.len]
    }
}

/// The damage of the last commits of a surface.
#[derive(Debug, Default)]
pub struct History {
    commits: [Damage; MAX_AGE],
    /// Commits ever recorded.
    count: u64,
}

impl History {
    /// Number of the latest commit.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.count
    }

    /// Records a commit.
    pub fn record(&mut self, damage: Damage) {
        self.count += 1;
        self.commits[(self.count % MAX_AGE as u64) as usize] = damage;
    }

    /// What changed between commit `then` and now.
    #[must_use]
    pub fn since(&self, then: u64) -> Damage {
        let Some(age) = self
            .count
            .checked_sub(then)
            .filter(|age| *age <= MAX_AGE as u64)
        else {
            return Damage::whole();
        };
        let mut all = Damage::default();
        for commit in (self.count - age + 1)..=self.count {
            all.add_all(&self.commits[(commit % MAX_AGE as u64) as usize]);
        }
        all
    }
}

#[cfg(test)]
mod tests;
