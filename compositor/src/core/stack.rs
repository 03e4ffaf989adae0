//! The windows, bottom to top, and which of them has the keyboard.

use super::window::Window;
use super::{Point, Rect, Size, VmId, WindowId};

/// All mapped windows.
#[derive(Debug, Default)]
pub(super) struct Stack {
    /// Bottom first.
    windows: Vec<Window>,
    focus: Option<WindowId>,
}

impl Stack {
    /// Top first.
    pub(super) fn top_down(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter().rev()
    }

    pub(super) fn get(&self, id: WindowId) -> Option<&Window> {
        self.windows.iter().find(|w| w.id == id)
    }

    pub(super) fn get_mut(&mut self, id: WindowId) -> Option<&mut Window> {
        self.windows.iter_mut().find(|w| w.id == id)
    }

    pub(super) fn focus(&self) -> Option<WindowId> {
        self.focus
    }

    pub(super) fn set_focus(&mut self, id: Option<WindowId>) {
        debug_assert!(id.is_none_or(|id| self.get(id).is_some()));
        self.focus = id;
    }

    pub(super) fn push(&mut self, id: WindowId, at: Point, content: Size, label_width: i32) {
        self.windows.push(Window {
            id,
            at,
            content,
            label_width,
            popups: Vec::new(),
        });
    }

    /// Takes a window away; its focus goes to the topmost that is left.
    pub(super) fn remove(&mut self, id: WindowId) {
        self.windows.retain(|w| w.id != id);
        if self.focus == Some(id) {
            self.focus = self.windows.last().map(|w| w.id);
        }
    }

    pub(super) fn raise(&mut self, id: WindowId) {
        if let Some(index) = self.windows.iter().position(|w| w.id == id) {
            let window = self.windows.remove(index);
            self.windows.push(window);
        }
    }

    pub(super) fn of_vm(&self, vm: VmId) -> Vec<WindowId> {
        let ids = self.windows.iter().map(|w| w.id);
        ids.filter(|id| id.vm == vm).collect()
    }

    pub(super) fn frames(&self) -> Vec<Rect> {
        self.windows.iter().map(Window::frame).collect()
    }
}
