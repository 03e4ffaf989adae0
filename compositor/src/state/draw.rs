//! Making a frame.

use super::Compositor;
use crate::backend::BackendError;
use crate::render::element::SceneElement;
use crate::render::{Look, PopupPart};

impl Compositor {
    /// Draws a frame and tells everybody who waited for it.
    pub(super) fn draw(&mut self) {
        self.damaged = false;
        self.changed = true;
        let elements = self.elements();
        let drawn = self.backend.draw(&elements);
        drop(elements);
        match drawn {
            Ok(()) => self.frames += 1,
            Err(BackendError::Frame(error)) => {
                tracing::error!("a frame is lost: {error:#}");
                self.damaged = true;
            }
            Err(BackendError::Lost(lost)) => self.fail(lost),
        }
        self.frame_done();
        for then in std::mem::take(&mut self.after_frame) {
            then(self);
        }
    }

    fn frame_done(&mut self) {
        let mut events = Vec::new();
        for (id, entry) in self.vms.iter_mut().filter(|(_, e)| e.vm.wants_frame()) {
            entry.dirty = true;
            let new = entry.vm.frame_done();
            events.extend(new.into_iter().map(|event| (id, event)));
        }
        for (vm, event) in events {
            self.apply_event(vm, event);
        }
    }

    /// All that is on the monitor, top first.
    fn elements(&mut self) -> Vec<SceneElement> {
        let mut out = Vec::new();
        let (core, vms, art) = (&self.core, &self.vms, &mut self.art);
        art.keep(|id| core.window(id).is_some());
        if let Some(cursor) = self.cursor.as_ref().filter(|_| self.pointed) {
            out.push(cursor.element(core.pointer().pixel(), core.grip()));
        }
        for window in core.windows() {
            let id = window.id();
            let Some(vm) = vms.get(id.vm) else {
                continue;
            };
            let popups: Vec<_> = window.popups().collect();
            for (index, content) in popups.iter().copied().rev().enumerate().rev() {
                let colour = vm.colour();
                art.popup(id, index, content, colour, PopupPart::Borders, &mut out);
                vm.popup_elements(id.key, index, content, &mut out);
                art.popup(id, index, content, colour, PopupPart::Ground, &mut out);
            }
            let (title, _) = vm.titles(id.key);
            let look = Look {
                name: vm.name(),
                colour: vm.colour(),
                title: &title,
                focused: core.focus() == Some(id),
            };
            art.frame(window, look, &mut out);
            vm.elements(id.key, window.content(), &mut out);
            art.ground(window, &mut out);
        }
        out
    }
}
