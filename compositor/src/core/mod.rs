//! The compositor's model: which windows there are, where they are, who has
//! the focus, where input goes.
//!
//! It knows windows only as [`WindowId`] and holds no Wayland or Smithay type:
//! object ids of different VMs are equal by construction, so nothing here may
//! be able to compare them. Facts go in as method calls, decisions come out as
//! [`Effect`]s.
//!
//! * [`geometry`]: saturating whole-pixel geometry
//! * [`Window`]: a mapped window and the parts of its frame
//! * `stack`: order and focus; `place`: where a new window goes
//! * `pointer`: the pointer's route, implicit grabs, moving and resizing

mod effect;
pub mod geometry;
mod id;
mod place;
mod pointer;
mod stack;
mod window;

#[cfg(test)]
mod tests;

pub use effect::Effect;
pub use geometry::{Point, PointF, Rect, Size};
pub use id::{VmId, WindowId, WindowKey};
pub use window::{Edges, Window, popup_frame};

use pointer::Pointer;
use stack::Stack;

/// Pixels of a frame's width that stay on the monitor, so that it can be
/// grabbed again.
const KEEP_VISIBLE: i32 = 48;

/// The model. See the [module](self) for how it is used.
#[derive(Debug)]
pub struct Core {
    monitor: Rect,
    stack: Stack,
    pointer: Pointer,
    effects: Vec<Effect>,
}

impl Core {
    /// No windows on a monitor of this size.
    pub fn new(monitor: Size) -> Self {
        Self {
            monitor: Rect::at(Point::default(), monitor),
            stack: Stack::default(),
            pointer: Pointer::default(),
            effects: Vec::new(),
        }
    }

    /// The monitor, compositor pixels.
    pub fn monitor(&self) -> Rect {
        self.monitor
    }

    /// The monitor has another size now. Windows stay where they are, as far as
    /// they can still be reached there.
    pub fn set_monitor(&mut self, size: Size) {
        self.monitor = Rect::at(Point::default(), size);
        let windows: Vec<WindowId> = self.windows().map(Window::id).collect();
        for id in windows {
            if let Some(window) = self.stack.get(id) {
                let at = self.reachable(window, window.frame().origin());
                self.move_to(id, at);
            }
        }
        // Ends at the monitor's edge now, if it was beyond.
        self.motion(self.pointer());
    }

    /// The windows, top first.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.stack.top_down()
    }

    /// A window by its id.
    pub fn window(&self, id: WindowId) -> Option<&Window> {
        self.stack.get(id)
    }

    /// The window that has the keyboard.
    pub fn focus(&self) -> Option<WindowId> {
        self.stack.focus()
    }

    /// Takes what was decided since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A window has content for the first time. It gets a place, goes on top
    /// and receives the keyboard.
    ///
    /// `label_width` is the room its VM's name needs in the frame.
    pub fn map(&mut self, id: WindowId, content: Size, label_width: i32) {
        if self.stack.get(id).is_some() {
            return self.resize(id, content);
        }
        let outer = crate::frame::FrameLayout::toplevel(content, label_width).outer;
        let at = place::place(self.monitor, outer, &self.stack.frames());
        self.stack.push(id, at, content, label_width);
        self.announce_work_area(id);
        self.focus_on(Some(id));
        self.repick();
    }

    /// A window has no content any more. Nobody may find it afterwards.
    pub fn unmap(&mut self, id: WindowId) {
        if self.stack.get(id).is_none() {
            return;
        }
        let before = self.stack.focus();
        self.stack.remove(id);
        self.changed_focus(before);
        self.forget(|w| w == id);
        self.repick();
    }

    /// A VM ended: all its windows go, and nothing more is sent to it.
    pub fn remove_vm(&mut self, vm: VmId) {
        for id in self.stack.of_vm(vm) {
            let before = self.stack.focus();
            self.stack.remove(id);
            self.changed_focus(before);
        }
        self.forget(|w| w.vm == vm);
        self.repick();
        self.effects.retain(|effect| !effect.is_for(vm));
    }

    /// The client's content has another size now.
    pub fn resize(&mut self, id: WindowId, content: Size) {
        let Some(window) = self.stack.get_mut(id) else {
            return;
        };
        let before = window.content;
        window.content = content;
        self.follow_resize(id, before);
        self.announce_work_area(id);
        self.repick();
    }

    /// The contents of a window's popups, bottom first, relative to the corner
    /// of the window's content.
    pub fn set_popups(&mut self, id: WindowId, popups: Vec<Rect>) {
        if let Some(window) = self.stack.get_mut(id) {
            window.popups = popups;
            self.repick();
        }
    }

    /// A key went down or up.
    pub fn key(&mut self, code: u32, pressed: bool) {
        let focused = self.stack.focus().map(|id| id.vm);
        self.effects.push(Effect::Key {
            focused,
            code,
            pressed,
        });
    }

    /// The size a window's content gets when it fills the monitor. The frame
    /// stays visible also then.
    pub fn fullscreen_size(&self, label_width: i32) -> Size {
        let empty = crate::frame::FrameLayout::toplevel(Size::default(), label_width);
        // The label widens the frame only of windows narrower than itself.
        let sides = 2 * empty.left.w;
        Size::new(
            self.monitor.w.saturating_sub(sides),
            self.monitor.h.saturating_sub(empty.outer.h),
        )
    }

    /// Puts a window's frame at the monitor's corner, as it is when it fills it.
    pub fn move_to_corner(&mut self, id: WindowId) {
        self.move_to(id, self.monitor.origin());
        self.repick();
    }

    fn move_to(&mut self, id: WindowId, at: Point) {
        if let Some(window) = self.stack.get_mut(id) {
            window.at = at;
            self.announce_work_area(id);
        }
    }

    /// The place nearest to `at` where a window's frame can be grabbed.
    fn reachable(&self, window: &Window, at: Point) -> Point {
        let monitor = self.monitor;
        let width = window.layout().outer.w;
        let keep = KEEP_VISIBLE.min(width);
        let left = monitor.x.saturating_add(keep).saturating_sub(width);
        let right = monitor.right().saturating_sub(keep).max(left);
        // The title bar never leaves the monitor at the top or the bottom.
        let bottom = monitor.bottom().saturating_sub(KEEP_VISIBLE).max(monitor.y);
        Point::new(at.x.clamp(left, right), at.y.clamp(monitor.y, bottom))
    }

    /// Gives the keyboard to a window and raises it, or takes it from all.
    fn focus_on(&mut self, id: Option<WindowId>) {
        let before = self.stack.focus();
        if let Some(id) = id {
            self.stack.raise(id);
        }
        self.stack.set_focus(id);
        self.changed_focus(before);
    }

    fn changed_focus(&mut self, from: Option<WindowId>) {
        let to = self.stack.focus();
        if from != to {
            self.effects.push(Effect::Focus { from, to });
        }
    }

    fn announce_work_area(&mut self, id: WindowId) {
        if let Some(window) = self.stack.get(id) {
            let origin = window.content().origin();
            let frame = popup_frame(Rect::default());
            let room = self
                .monitor
                .grow(frame.x, frame.y, -frame.right(), -frame.bottom());
            let area = Rect::at(room.origin().relative_to(origin), room.size());
            self.effects.push(Effect::WorkArea { window: id, area });
        }
    }
}
