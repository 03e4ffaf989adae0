//! The compositor's own copy of a surface's pixels.
//!
//! Client memory is read in one place, under the guard that turns a bus error
//! into a protocol error for that client. Drawing uses the copy only, so a
//! buffer is released as soon as it is copied and cannot spoil a frame later.
#![allow(unsafe_code)]

use std::cell::RefCell;

use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::DamageBag;
use smithay::reexports::wayland_server::protocol::{wl_buffer::WlBuffer, wl_shm};
use smithay::utils::{Buffer, Rectangle, Transform};
use smithay::wayland::compositor::{BufferAssignment, Damage, SurfaceAttributes, SurfaceData};
use smithay::wayland::shm::{BufferData, with_buffer_contents};

use super::budget::{Budget, Memory};
use super::view::View;
use crate::core::{Rect, Size};
use crate::render::element::{Picture, SceneElement};
use crate::render::pixels::{MAX_SIDE, PIXEL_BYTES, PixelBuffer};

/// Frames of damage remembered, for a monitor that skips a few.
const DAMAGE_HISTORY: usize = 4;

/// A surface's copy and what is known about it. Lives in the surface's data.
pub(super) type SurfaceShadow = RefCell<Shadow>;

/// See [`SurfaceShadow`].
#[derive(Debug)]
pub(super) struct Shadow {
    pixels: Option<(PixelBuffer, Memory)>,
    /// Unique in the process. Ids made from Wayland objects would be equal for
    /// surfaces of different VMs.
    id: Id,
    damage: DamageBag<i32, Buffer>,
    view: View,
    /// A buffer that is not copied yet, because its VM used up its share of
    /// this frame. There is never more than the newest.
    waiting: Option<Waiting>,
    /// How the picture was last shown; showing it otherwise is damage as well.
    shown: Option<(Rectangle<f64, Buffer>, Rect, Transform)>,
}

#[derive(Debug)]
struct Waiting {
    buffer: WlBuffer,
    damage: Rect,
}

/// Why a commit is the client's fault. It is disconnected for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadBuffer {
    #[error("buffer is not shared memory")]
    NotShm,
    #[error("buffer does not lie inside its pool")]
    OutsidePool,
    #[error("buffer has a format that was not offered")]
    Format,
    #[error("buffer is larger than {MAX_SIDE} pixels on a side")]
    TooLarge,
    #[error("copies of surfaces exceed the memory of a virtual machine's windows")]
    NoMemory,
    #[error("pool is smaller than it claims")]
    Truncated,
}

impl Default for Shadow {
    fn default() -> Self {
        Self {
            pixels: None,
            id: Id::new(),
            damage: DamageBag::new(DAMAGE_HISTORY),
            view: View::default(),
            waiting: None,
            shown: None,
        }
    }
}

impl Shadow {
    /// Runs `f` on the shadow of a surface.
    pub(super) fn with<T>(states: &SurfaceData, f: impl FnOnce(&mut Self) -> T) -> T {
        states.data_map.insert_if_missing(SurfaceShadow::default);
        let shadow = states.data_map.get::<SurfaceShadow>();
        // Inserted above; a fresh one would only be a surface without content.
        match shadow {
            Some(shadow) => f(&mut shadow.borrow_mut()),
            None => f(&mut Self::default()),
        }
    }

    /// True if there is anything to show.
    pub(super) fn has_content(&self) -> bool {
        self.pixels.is_some()
    }

    /// True if a buffer waits for its VM's share of the next frame.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Size on the monitor, pixels.
    pub(super) fn size(&self) -> Size {
        if self.has_content() {
            self.view.size
        } else {
            Size::default()
        }
    }

    /// Takes up what a commit brought.
    pub(super) fn apply(
        &mut self,
        states: &SurfaceData,
        budget: &mut Budget,
    ) -> Result<(), BadBuffer> {
        let mut cached = states.cached_state.get::<SurfaceAttributes>();
        let attributes = cached.current();
        let damage = std::mem::take(&mut attributes.damage);
        let assignment = attributes.buffer.take();
        let (scale, transform) = (
            attributes.buffer_scale,
            Transform::from(attributes.buffer_transform),
        );
        drop(cached);

        match assignment {
            Some(BufferAssignment::NewBuffer(buffer)) => {
                let damage = self.buffer_damage(&damage, scale, transform, states);
                self.attach(Waiting { buffer, damage });
                if budget.has_time() {
                    self.copy(budget)?;
                }
            }
            Some(BufferAssignment::Removed) => {
                self.release_waiting();
                self.pixels = None;
                self.shown = None;
            }
            None => {}
        }
        if let Some((pixels, _)) = &self.pixels {
            self.view = View::new(states, pixels.size(), scale, transform);
        }
        Ok(())
    }

    /// Copies the buffer that waits, if any.
    pub(super) fn catch_up(
        &mut self,
        states: &SurfaceData,
        budget: &mut Budget,
    ) -> Result<(), BadBuffer> {
        self.copy(budget)?;
        if let Some((pixels, _)) = &self.pixels {
            let mut cached = states.cached_state.get::<SurfaceAttributes>();
            let attributes = cached.current();
            let (scale, transform) = (attributes.buffer_scale, attributes.buffer_transform);
            drop(cached);
            self.view = View::new(states, pixels.size(), scale, transform.into());
        }
        Ok(())
    }

    /// The picture at `dst`, the part of the surface `local` names.
    ///
    /// `local` is relative to the surface, `dst` to the window's content: only
    /// the latter stays equal when the window moves.
    pub(super) fn element(&mut self, local: Rect, dst: Rect, at: Rect) -> Option<SceneElement> {
        let (pixels, _) = self.pixels.as_ref()?;
        let src = self.view.source(local, pixels.size())?;
        let transform = self.view.transform;
        let shown = Some((src, dst, transform));
        if self.shown != shown {
            self.shown = shown;
            let size = pixels.size();
            self.damage
                .add([Rectangle::from_size((size.w, size.h).into())]);
        }
        let picture = Picture {
            texture: pixels.texture().clone(),
            src,
            transform,
            damage: self.damage.snapshot(),
            opaque: pixels.is_opaque(),
        };
        Some(SceneElement::picture(self.id.clone(), at, picture))
    }

    /// Puts a buffer in line; one that was there has been overtaken.
    fn attach(&mut self, mut new: Waiting) {
        if let Some(old) = self.waiting.take() {
            new.damage = new.damage.union(old.damage);
            if old.buffer != new.buffer {
                old.buffer.release();
            }
        }
        self.waiting = Some(new);
    }

    fn release_waiting(&mut self) {
        if let Some(old) = self.waiting.take() {
            old.buffer.release();
        }
    }

    fn copy(&mut self, budget: &mut Budget) -> Result<(), BadBuffer> {
        let Some(Waiting { buffer, damage }) = self.waiting.take() else {
            return Ok(());
        };
        let copied = with_buffer_contents(&buffer, |start, len, data| {
            let layout = Layout::check(data, len)?;
            let whole = self.make_room(&layout, budget)?;
            let rect = if whole {
                layout.bounds()
            } else {
                damage.intersection(layout.bounds()).unwrap_or_default()
            };
            if let Some((pixels, _)) = &mut self.pixels {
                // SAFETY: `layout` was checked against the mapped length, so all
                // of the buffer lies in the mapping; a page that is not backed
                // faults into smithay's handler, which is active in here.
                unsafe { pixels.copy_from(start.add(layout.offset), layout.stride, rect) };
            }
            budget.spend(rect.size().area().saturating_mul(PIXEL_BYTES as u64));
            Ok(rect)
        });
        let rect = match copied {
            Ok(copied) => copied?,
            // The handler already told the client and replaced the memory.
            Err(smithay::wayland::shm::BufferAccessError::BadMap) => {
                return Err(BadBuffer::Truncated);
            }
            Err(_) => return Err(BadBuffer::NotShm),
        };
        buffer.release();
        if !rect.is_empty() {
            let rect = Rectangle::new((rect.x, rect.y).into(), (rect.w, rect.h).into());
            self.damage.add([rect]);
        }
        Ok(())
    }

    /// Makes the copy as large as the buffer. True if it has no content yet.
    fn make_room(&mut self, layout: &Layout, budget: &mut Budget) -> Result<bool, BadBuffer> {
        if let Some((pixels, _)) = &self.pixels
            && pixels.size() == layout.size
            && pixels.is_opaque() == layout.opaque
        {
            return Ok(false);
        }
        self.pixels = None;
        let bytes = layout.size.area().saturating_mul(PIXEL_BYTES as u64);
        let memory = budget.reserve(bytes).ok_or(BadBuffer::NoMemory)?;
        let pixels = PixelBuffer::new(layout.size, layout.opaque).ok_or(BadBuffer::NoMemory)?;
        self.pixels = Some((pixels, memory));
        Ok(true)
    }

    /// The damage of a commit as one rectangle of buffer pixels.
    ///
    /// A bounding box: a client may send any number of rectangles, and copying
    /// twice what lies between two of them is cheaper than a list.
    fn buffer_damage(
        &self,
        damage: &[Damage],
        scale: i32,
        transform: Transform,
        states: &SurfaceData,
    ) -> Rect {
        let everything = Rect::new(0, 0, MAX_SIDE, MAX_SIDE);
        let plain = transform == Transform::Normal && View::is_plain(states);
        damage
            .iter()
            .fold(Rect::default(), |sum, damage| match damage {
                Damage::Buffer(r) => sum.union(Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h)),
                Damage::Surface(r) if plain => {
                    let by = |v: i32| v.saturating_mul(scale);
                    sum.union(Rect::new(
                        by(r.loc.x),
                        by(r.loc.y),
                        by(r.size.w),
                        by(r.size.h),
                    ))
                }
                // Exotic enough to copy it all.
                Damage::Surface(_) => everything,
            })
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.release_waiting();
    }
}

/// Where a buffer lies in its pool, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    offset: usize,
    stride: usize,
    size: Size,
    opaque: bool,
}

impl Layout {
    /// Checks a buffer's description against the `len` bytes that are mapped.
    fn check(data: BufferData, len: usize) -> Result<Self, BadBuffer> {
        let opaque = match data.format {
            wl_shm::Format::Argb8888 => false,
            wl_shm::Format::Xrgb8888 => true,
            _ => return Err(BadBuffer::Format),
        };
        if data.width > MAX_SIDE || data.height > MAX_SIDE {
            return Err(BadBuffer::TooLarge);
        }
        let positive = |v: i32| usize::try_from(v).map_err(|_| BadBuffer::OutsidePool);
        let (offset, stride) = (positive(data.offset)?, positive(data.stride)?);
        let (width, height) = (positive(data.width)?, positive(data.height)?);
        // All below 2^31, so nothing here overflows 64 bits.
        let row = width * PIXEL_BYTES;
        if width == 0 || height == 0 || stride < row {
            return Err(BadBuffer::OutsidePool);
        }
        let end = offset + stride * (height - 1) + row;
        if end > len {
            return Err(BadBuffer::OutsidePool);
        }
        Ok(Self {
            offset,
            stride,
            size: Size::new(data.width, data.height),
            opaque,
        })
    }

    fn bounds(&self) -> Rect {
        Rect::at(Default::default(), self.size)
    }
}

#[cfg(test)]
mod tests;
