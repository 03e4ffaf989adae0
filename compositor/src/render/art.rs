//! Frames and grounds of windows, kept from one frame to the next.

use std::collections::HashMap;

use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::{CommitCounter, DamageBag};
use smithay::utils::{Buffer, Rectangle, Transform};

use super::element::{Picture, SceneElement};
use super::pixels::PixelBuffer;
use crate::core::{Point, Rect, Size, Window, WindowId, popup_frame};
use crate::frame::geometry::BORDER;
use crate::frame::{BarSpec, FrameLayout, Painter, Rgb};
use crate::label::{Colour, VmName};

/// Under every client's content: what shows where it is transparent or lacks pixels.
const GROUND: u32 = 0x0000_0000;

/// All frames.
#[derive(Debug, Default)]
pub(crate) struct Art {
    painter: Painter,
    frames: HashMap<WindowId, FrameArt>,
}

/// What a frame says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) name: &'a VmName,
    pub(crate) colour: Colour,
    pub(crate) title: &'a str,
    pub(crate) focused: bool,
}

#[derive(Debug)]
struct FrameArt {
    spec: Option<BarSpec>,
    bar: Option<PixelBuffer>,
    bar_id: Id,
    damage: DamageBag<i32, Buffer>,
    solids: [Id; 3],
    ground: Id,
    /// Four borders and the ground of each popup, bottom first.
    popups: Vec<[Id; 5]>,
    /// Changes with the VM's colour, which is never while a window lives.
    commit: CommitCounter,
}

impl Default for FrameArt {
    fn default() -> Self {
        Self {
            spec: None,
            bar: None,
            bar_id: Id::new(),
            damage: DamageBag::new(4),
            solids: std::array::from_fn(|_| Id::new()),
            ground: Id::new(),
            popups: Vec::new(),
            commit: CommitCounter::default(),
        }
    }
}

impl Art {
    /// Room a VM's name needs in its frames.
    pub(crate) fn label_width(&self, name: &VmName) -> i32 {
        self.painter.label_width(name.as_str())
    }

    /// Forgets frames of windows that are gone.
    pub(crate) fn keep(&mut self, alive: impl Fn(WindowId) -> bool) {
        self.frames.retain(|id, _| alive(*id));
    }

    /// Adds a window's frame.
    pub(crate) fn frame(&mut self, window: &Window, look: Look<'_>, out: &mut Vec<SceneElement>) {
        let layout = window.layout();
        let at = window.frame().origin();
        let art = self.frames.entry(window.id()).or_default();
        art.paint_bar(&mut self.painter, &layout, look);
        if let Some(bar) = &art.bar {
            let size = bar.size();
            let picture = Picture {
                texture: bar.texture().clone(),
                src: Rectangle::from_size((f64::from(size.w), f64::from(size.h)).into()),
                transform: Transform::Normal,
                damage: art.damage.snapshot(),
                opaque: true,
            };
            let dst = Rect::at(at, size);
            out.push(SceneElement::picture(art.bar_id.clone(), dst, picture));
        }
        let colour = look.colour.to_u32();
        for (rect, id) in layout.solids().into_iter().zip(&art.solids) {
            out.push(SceneElement::plain(
                id.clone(),
                rect.offset(at),
                colour,
                art.commit,
            ));
        }
    }

    /// Adds the ground under a window's content.
    pub(crate) fn ground(&mut self, window: &Window, out: &mut Vec<SceneElement>) {
        let art = self.frames.entry(window.id()).or_default();
        let (id, commit) = (art.ground.clone(), art.commit);
        out.push(SceneElement::plain(id, window.content(), GROUND, commit));
    }

    /// Adds the borders of a window's popup, counted from the bottom, or its ground.
    pub(crate) fn popup(
        &mut self,
        window: WindowId,
        index: usize,
        content: Rect,
        colour: Colour,
        part: PopupPart,
        out: &mut Vec<SceneElement>,
    ) {
        let art = self.frames.entry(window).or_default();
        while art.popups.len() <= index {
            art.popups.push(std::array::from_fn(|_| Id::new()));
        }
        let ids = &art.popups[index];
        match part {
            PopupPart::Ground => {
                out.push(SceneElement::plain(
                    ids[4].clone(),
                    content,
                    GROUND,
                    art.commit,
                ));
            }
            PopupPart::Borders => {
                let frame = popup_frame(content);
                for (rect, id) in borders(frame, content).into_iter().zip(ids) {
                    let colour = colour.to_u32();
                    out.push(SceneElement::plain(id.clone(), rect, colour, art.commit));
                }
            }
        }
    }
}

/// Which part of a popup's art.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PopupPart {
    /// The border around it.
    Borders,
    /// What lies under its content.
    Ground,
}

fn borders(frame: Rect, content: Rect) -> [Rect; 4] {
    let sides = Size::new(BORDER, content.h);
    [
        Rect::new(frame.x, frame.y, frame.w, BORDER),
        Rect::at(Point::new(frame.x, content.y), sides),
        Rect::at(Point::new(content.right(), content.y), sides),
        Rect::new(frame.x, content.bottom(), frame.w, BORDER),
    ]
}

impl FrameArt {
    /// Paints the title bar anew if anything it shows changed.
    fn paint_bar(&mut self, painter: &mut Painter, layout: &FrameLayout, look: Look<'_>) {
        let spec = BarSpec {
            name: look.name.as_str().to_owned(),
            colour: Rgb::from(look.colour),
            title: look.title.to_owned(),
            focused: look.focused,
            width: layout.bar.w,
            scale: 1,
        };
        if self.spec.as_ref() == Some(&spec) {
            return;
        }
        let bitmap = painter.bar(&spec);
        let size = bitmap.size();
        if self.bar.as_ref().map(PixelBuffer::size) != Some(size) {
            self.bar = PixelBuffer::new(size, true);
        }
        if let Some(bar) = &mut self.bar {
            bar.write(bitmap.pixels());
        }
        self.damage
            .add([Rectangle::from_size((size.w, size.h).into())]);
        self.spec = Some(spec);
    }
}
