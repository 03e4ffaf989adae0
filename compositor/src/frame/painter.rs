//! Draws title bars.

use std::collections::HashMap;

use super::geometry::{BORDER, LABEL_PADDING, TITLE_BAR};
use super::{Bitmap, FrameLayout, Rgb, TextFont, title};
use crate::core::{Rect, Size};

/// Size of the VM's name, in logical pixels per em.
const LABEL_EM: f32 = 14.0;
/// Size of the window title: smaller than the name, so that it never competes with it.
const TITLE_EM: f32 = 12.0;
/// Line between label and title, in the label's text colour, logical pixels.
const SEPARATOR: i32 = 2;
/// A title that has less room than this is left out, logical pixels.
const MIN_TITLE_ROOM: i32 = 24;
/// Largest output scale; also bounds the memory of one bar.
const MAX_SCALE: i32 = 4;
/// Widest bar painted, in pixels. Beyond it the bar ends and the renderer
/// shows nothing: no screen is that wide, but a client may claim to be.
pub(super) const MAX_BAR_WIDTH: i32 = 16_384;
/// Labels kept. There is one per VM and scale; past this many all are
/// dropped and drawn again, which only costs time.
const MAX_CACHED_LABELS: usize = 256;

/// Ground and text of the title strip with and without keyboard focus.
const FOCUSED: (Rgb, Rgb) = (Rgb::from_u32(0x00f4_f4f4), Rgb::from_u32(0x001c_1c1c));
const UNFOCUSED: (Rgb, Rgb) = (Rgb::from_u32(0x0040_4040), Rgb::from_u32(0x00c4_c4c4));

/// Everything that decides how a title bar looks. A caller keeps the bar it
/// got and asks again only when this changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarSpec {
    /// The VM's name, from the host's configuration.
    pub name: String,
    /// The VM's colour, from the host's configuration.
    pub colour: Rgb,
    /// The window's title as the client gave it; empty for none.
    pub title: String,
    /// Whether the window has the keyboard.
    pub focused: bool,
    /// Width of the bar in logical pixels, [`FrameLayout::bar`].
    pub width: i32,
    /// Output scale, 1 to 4.
    pub scale: i32,
}

/// Draws title bars and keeps what is worth keeping.
#[derive(Debug)]
pub struct Painter {
    font: TextFont,
    labels: HashMap<(String, Rgb, i32), Bitmap>,
}

impl Default for Painter {
    fn default() -> Self {
        Self::new()
    }
}

impl Painter {
    /// A painter with the bundled font.
    #[must_use]
    pub fn new() -> Self {
        Self {
            font: TextFont::bundled(),
            labels: HashMap::new(),
        }
    }

    /// Width of the label of a VM called `name`, in logical pixels.
    #[must_use]
    pub fn label_width(&self, name: &str) -> i32 {
        self.font.width(name, LABEL_EM) + 2 * LABEL_PADDING
    }

    /// The layout of a window of `content` of a VM called `name`.
    #[must_use]
    pub fn toplevel(&self, content: Size, name: &str) -> FrameLayout {
        FrameLayout::toplevel(content, self.label_width(name))
    }

    /// The pixels of [`FrameLayout::bar`]: top border, label, title.
    ///
    /// `spec.scale` times as large as the layout says.
    pub fn bar(&mut self, spec: &BarSpec) -> Bitmap {
        let scale = spec.scale.clamp(1, MAX_SCALE);
        let width = spec.width.clamp(0, MAX_BAR_WIDTH / scale);
        let label_width = self.label_width(&spec.name).min(width - 2 * BORDER).max(0);
        let px = |logical: i32| logical * scale;

        let mut bar = Bitmap::new(
            Size {
                w: px(width),
                h: px(BORDER + TITLE_BAR),
            },
            spec.colour,
        );
        let label = self.label(&spec.name, spec.colour, scale);
        bar.copy_from(label, px(BORDER), px(BORDER), px(label_width));

        let strip_left = BORDER + label_width;
        let strip_width = width - BORDER - strip_left;
        if strip_width > SEPARATOR {
            let at = |x, w| Rect::new(px(x), px(BORDER), px(w), px(TITLE_BAR));
            let (ground, ink) = if spec.focused { FOCUSED } else { UNFOCUSED };
            bar.fill(at(strip_left, SEPARATOR), spec.colour.text());
            bar.fill(at(strip_left + SEPARATOR, strip_width - SEPARATOR), ground);
            let room = strip_width - SEPARATOR - 2 * LABEL_PADDING;
            if room >= MIN_TITLE_ROOM {
                let em = TITLE_EM * scale as f32;
                let text = self.font.fit(&title::sanitise(&spec.title), em, px(room));
                self.font.draw(
                    &mut bar,
                    at(strip_left + SEPARATOR + LABEL_PADDING, room),
                    &text,
                    em,
                    ink,
                );
            }
        }
        bar
    }

    /// The label of a VM: its name on its colour, [`TITLE_BAR`] high.
    fn label(&mut self, name: &str, colour: Rgb, scale: i32) -> &Bitmap {
        let key = (name.to_owned(), colour, scale);
        if self.labels.len() >= MAX_CACHED_LABELS && !self.labels.contains_key(&key) {
            self.labels.clear();
        }
        let size = Size {
            w: self.label_width(name) * scale,
            h: TITLE_BAR * scale,
        };
        let font = &self.font;
        self.labels.entry(key).or_insert_with(|| {
            let mut label = Bitmap::new(size, colour);
            let padding = LABEL_PADDING * scale;
            let target = Rect::new(padding, 0, size.w - padding, size.h);
            font.draw(
                &mut label,
                target,
                name,
                LABEL_EM * scale as f32,
                colour.text(),
            );
            label
        })
    }
}
