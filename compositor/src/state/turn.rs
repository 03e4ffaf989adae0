//! What happens at the end of each turn of the loop.

use std::time::Instant;

use calloop::timer::{TimeoutAction, Timer};

use super::Compositor;
use crate::core::{Effect, VmId, WindowId};
use crate::vm::VmEvent;

impl Compositor {
    /// Lets displays and core act on what the turn brought, answers the
    /// clients, and asks for a frame if one is needed.
    pub(crate) fn end_turn(&mut self) {
        self.settle();
        self.drop_superfluous();
        let now = Instant::now();
        if (self.damaged || !self.after_frame.is_empty() || self.vms.want_frame())
            && let Some(at) = self.pacing.arm(now)
        {
            self.set_frame_timer(at);
        }
        self.flush();
        if std::mem::take(&mut self.changed) {
            self.run_watchers();
        }
    }

    /// Runs displays and core until neither has anything to say to the other.
    pub(super) fn settle(&mut self) {
        loop {
            let (mut events, mut pauses) = (Vec::new(), Vec::new());
            for (id, entry) in self.vms.iter_mut().filter(|(_, e)| e.dirty) {
                let (new, pause) = entry.dispatch();
                events.extend(new.into_iter().map(|event| (id, event)));
                pauses.extend(pause.map(|until| (id, until)));
            }
            for (vm, until) in pauses {
                self.pause(vm, until);
            }
            let quiet = events.is_empty();
            for (vm, event) in events {
                self.apply_event(vm, event);
            }
            let effects = self.core.take_effects();
            if effects.is_empty() && quiet {
                break;
            }
            self.changed = true;
            for effect in effects {
                self.apply_effect(effect);
            }
        }
    }

    pub(super) fn apply_event(&mut self, vm: VmId, event: VmEvent) {
        self.damaged = true;
        let window = |key| WindowId { vm, key };
        match event {
            VmEvent::Content { key, size } => {
                let label = self.label_width(vm);
                self.core.map(window(key), size, label);
            }
            VmEvent::Gone { key } => self.core.unmap(window(key)),
            VmEvent::Popups { key, contents } => self.core.set_popups(window(key), contents),
            VmEvent::Redraw => {}
            VmEvent::Move { key } => self.core.begin_move(window(key)),
            VmEvent::Resize { key, edges } => self.core.begin_resize(window(key), edges),
            VmEvent::Fill { key } => {
                let size = self.core.fullscreen_size(self.label_width(vm));
                self.core.move_to_corner(window(key));
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.configure(key, size, false);
                }
            }
        }
    }

    fn label_width(&self, vm: VmId) -> i32 {
        let vm = self.vms.get(vm);
        vm.map_or(0, |vm| self.art.label_width(vm.name()))
    }

    fn apply_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Focus { from, to } => self.move_focus(from, to),
            Effect::Motion { window, at } => {
                if let Some(vm) = self.vms.get_mut(window.vm) {
                    vm.motion(window.key, at);
                }
            }
            Effect::Leave { vm } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.leave();
                }
            }
            Effect::Button { vm, code, pressed } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.button(code, pressed);
                }
            }
            Effect::Axis {
                vm,
                horizontal,
                vertical,
            } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.axis(horizontal, vertical);
                }
            }
            Effect::Key {
                focused,
                code,
                pressed,
            } => {
                for (id, entry) in self.vms.iter_mut() {
                    entry.dirty = true;
                    entry.vm.key(code, pressed, focused == Some(id));
                }
            }
            Effect::EndGrabs { vm } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.end_grabs();
                }
            }
            Effect::Configure {
                window,
                size,
                resizing,
            } => {
                if let Some(vm) = self.vms.get_mut(window.vm) {
                    vm.configure(window.key, size, resizing);
                }
            }
            Effect::WorkArea { window, area } => {
                if let Some(vm) = self.vms.get_mut(window.vm) {
                    vm.set_work_area(window.key, area);
                }
            }
        }
    }

    fn move_focus(&mut self, from: Option<WindowId>, to: Option<WindowId>) {
        self.damaged = true;
        let stays = |vm| to.is_some_and(|to| to.vm == vm);
        if let Some(from) = from.filter(|from| !stays(from.vm))
            && let Some(vm) = self.vms.get_mut(from.vm)
        {
            vm.focus(None);
        }
        if let Some(to) = to
            && let Some(vm) = self.vms.get_mut(to.vm)
        {
            vm.focus(Some(to.key));
        }
    }

    fn flush(&mut self) {
        for (_, entry) in self.vms.iter_mut() {
            if std::mem::take(&mut entry.dirty) {
                entry.vm.flush();
            }
        }
    }

    fn set_frame_timer(&mut self, at: Instant) {
        let timer = Timer::from_deadline(at);
        let fire = |deadline, &mut (): &mut (), compositor: &mut Compositor| {
            compositor.pacing.fired(deadline, Instant::now());
            compositor.draw();
            TimeoutAction::Drop
        };
        if let Err(error) = self.handle.insert_source(timer, fire) {
            tracing::error!(%error, "cannot set the frame timer");
        }
    }

    fn run_watchers(&mut self) {
        let mut watchers = std::mem::take(&mut self.watchers);
        watchers.retain_mut(|watcher| watcher(self));
        // Those that were added meanwhile come behind.
        watchers.append(&mut self.watchers);
        self.watchers = watchers;
    }
}
