//! The pointer: which window it is over, what a pressed button binds it to,
//! and moving and resizing windows with it.

use super::window::{Edges, Part};
use super::{Core, Effect, Point, PointF, Size, VmId, WindowId};

/// Smallest content a window can be resized to: enough to grab it again.
const MIN_CONTENT: Size = Size::new(64, 32);

/// Buttons a person can hold; further presses are ignored.
const MAX_BUTTONS: usize = 16;

/// State of the pointer.
#[derive(Debug, Default)]
pub(super) struct Pointer {
    at: PointF,
    /// The window whose VM last got motion.
    over: Option<WindowId>,
    /// Held buttons and the VM that saw each press, if one did.
    held: Vec<(u32, Option<VmId>)>,
    bound: Bound,
}

/// What the pointer does while a button is held.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Bound {
    /// It goes where it points.
    #[default]
    Free,
    /// A client saw the press: it gets all motion until the release.
    Client(WindowId),
    /// A press on something that takes no part: nobody gets motion.
    Nobody,
    Move(Grab),
    Resize(Grab, Edges),
}

/// Moving or resizing, relative to how it was at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Grab {
    window: WindowId,
    pointer: PointF,
    at: Point,
    content: Size,
}

impl Core {
    /// Where the pointer is, compositor pixels.
    pub fn pointer(&self) -> PointF {
        self.pointer.at
    }

    /// The pointer moved; positions outside the monitor end at its edge.
    pub fn motion(&mut self, to: PointF) {
        let clamp = |v: f64, from: i32, to: i32| {
            let v = if v.is_finite() { v } else { 0.0 };
            v.clamp(f64::from(from), f64::from(to.saturating_sub(1).max(from)))
        };
        self.pointer.at = PointF::new(
            clamp(to.x, self.monitor.x, self.monitor.right()),
            clamp(to.y, self.monitor.y, self.monitor.bottom()),
        );
        match self.pointer.bound {
            Bound::Move(grab) => self.drag(grab),
            Bound::Resize(grab, edges) => self.stretch(grab, edges, true),
            Bound::Client(window) => self.send_motion(window),
            Bound::Free | Bound::Nobody => self.repick(),
        }
    }

    /// Edges of a window that are dragged, or that a press here would drag.
    pub fn grip(&self) -> Edges {
        match self.pointer.bound {
            Bound::Resize(_, edges) => edges,
            Bound::Free => match self.pick() {
                Some((_, Part::Border(edges))) => edges,
                _ => Edges::default(),
            },
            Bound::Client(_) | Bound::Nobody | Bound::Move(_) => Edges::default(),
        }
    }

    /// A button went down or up.
    pub fn button(&mut self, code: u32, pressed: bool) {
        if pressed {
            self.press(code);
        } else {
            self.release(code);
        }
    }

    /// The wheel turned, in 1/120 of a notch.
    pub fn axis(&mut self, horizontal: i32, vertical: i32) {
        if let Some(window) = self.pointer.over {
            self.effects.push(Effect::Axis {
                vm: window.vm,
                horizontal,
                vertical,
            });
        }
    }

    /// The client that saw the press asks to be moved with the pointer.
    pub fn begin_move(&mut self, window: WindowId) {
        if let Some(grab) = self.begin(window) {
            self.pointer.bound = Bound::Move(grab);
        }
    }

    /// The client that saw the press asks to be resized with the pointer.
    pub fn begin_resize(&mut self, window: WindowId, edges: Edges) {
        if let Some(grab) = self.begin(window) {
            self.pointer.bound = Bound::Resize(grab, edges);
        }
    }

    /// Only the client that holds the pointer by a pressed button may turn
    /// that into a move; its VM loses the pointer.
    fn begin(&mut self, window: WindowId) -> Option<Grab> {
        match self.pointer.bound {
            Bound::Client(bound) if bound.vm == window.vm => {}
            _ => return None,
        }
        let grab = self.grab(window)?;
        self.leave();
        Some(grab)
    }

    fn grab(&self, window: WindowId) -> Option<Grab> {
        let w = self.stack.get(window)?;
        Some(Grab {
            window,
            pointer: self.pointer.at,
            at: w.at,
            content: w.content,
        })
    }

    fn press(&mut self, code: u32) {
        let held = &self.pointer.held;
        if held.len() >= MAX_BUTTONS || held.iter().any(|(c, _)| *c == code) {
            return;
        }
        if self.pointer.bound != Bound::Free {
            // A further button belongs to whoever has the first.
            let vm = match self.pointer.bound {
                Bound::Client(window) => Some(window.vm),
                _ => None,
            };
            return self.press_for(vm, code);
        }
        let hit = self.pick();
        self.end_other_menus(hit.map(|(id, _)| id.vm));
        let Some((id, part)) = hit else {
            self.pointer.bound = Bound::Nobody;
            return self.press_for(None, code);
        };
        self.focus_on(Some(id));
        let (bound, vm) = match part {
            Part::Content => (Bound::Client(id), Some(id.vm)),
            Part::PopupFrame => (Bound::Nobody, None),
            Part::Title => (self.grab(id).map_or(Bound::Nobody, Bound::Move), None),
            Part::Border(edges) => {
                let grab = self.grab(id);
                let resize = |grab| Bound::Resize(grab, edges);
                (grab.map_or(Bound::Nobody, resize), None)
            }
        };
        self.pointer.bound = bound;
        if vm.is_none() {
            // Its own menus close as well: the press was for the frame.
            self.effects.push(Effect::EndGrabs { vm: id.vm });
        } else {
            self.send_motion(id);
        }
        self.press_for(vm, code);
    }

    fn press_for(&mut self, vm: Option<VmId>, code: u32) {
        self.pointer.held.push((code, vm));
        if let Some(vm) = vm {
            self.effects.push(Effect::Button {
                vm,
                code,
                pressed: true,
            });
        }
    }

    fn release(&mut self, code: u32) {
        let Some(index) = self.pointer.held.iter().position(|(c, _)| *c == code) else {
            return;
        };
        // The VM that saw the press must see the release, also when it lost the
        // pointer since: otherwise its seat believes in a button held for ever.
        if let (_, Some(vm)) = self.pointer.held.remove(index) {
            self.effects.push(Effect::Button {
                vm,
                code,
                pressed: false,
            });
        }
        if self.pointer.held.is_empty() {
            if let Bound::Resize(grab, edges) = self.pointer.bound {
                self.stretch(grab, edges, false);
            }
            self.pointer.bound = Bound::Free;
            self.repick();
        }
    }

    /// A press ends the menus of every VM it does not go to.
    fn end_other_menus(&mut self, to: Option<VmId>) {
        let mut vms: Vec<VmId> = self.stack.top_down().map(|w| w.id.vm).collect();
        vms.sort_unstable();
        vms.dedup();
        let others = vms.into_iter().filter(|vm| Some(*vm) != to);
        self.effects
            .extend(others.map(|vm| Effect::EndGrabs { vm }));
    }

    fn drag(&mut self, grab: Grab) {
        let to = grab.at.offset(self.dragged(grab));
        if let Some(window) = self.stack.get(grab.window) {
            let at = self.reachable(window, to);
            self.move_to(grab.window, at);
        }
    }

    fn stretch(&mut self, grab: Grab, edges: Edges, resizing: bool) {
        let by = self.dragged(grab);
        let along = |from: i32, by: i32, near: bool, far: bool, min: i32, max: i32| {
            let by = match (near, far) {
                (true, false) => by.saturating_neg(),
                (false, true) => by,
                _ => return from,
            };
            from.saturating_add(by).clamp(min, max.max(min))
        };
        let max = self.monitor.size();
        let size = Size::new(
            along(
                grab.content.w,
                by.x,
                edges.left,
                edges.right,
                MIN_CONTENT.w,
                max.w,
            ),
            along(
                grab.content.h,
                by.y,
                edges.top,
                edges.bottom,
                MIN_CONTENT.h,
                max.h,
            ),
        );
        self.effects.push(Effect::Configure {
            window: grab.window,
            size,
            resizing,
        });
    }

    /// While the left or top edge is dragged the opposite edge stays where it
    /// was, so the corner moves by what the content grew.
    pub(super) fn follow_resize(&mut self, id: WindowId, before: Size) {
        let Bound::Resize(grab, edges) = self.pointer.bound else {
            return;
        };
        if grab.window != id {
            return;
        }
        if let Some(window) = self.stack.get_mut(id) {
            if edges.left {
                let grown = window.content.w.saturating_sub(before.w);
                window.at.x = window.at.x.saturating_sub(grown);
            }
            if edges.top {
                let grown = window.content.h.saturating_sub(before.h);
                window.at.y = window.at.y.saturating_sub(grown);
            }
        }
    }

    fn dragged(&self, grab: Grab) -> Point {
        PointF::new(
            self.pointer.at.x - grab.pointer.x,
            self.pointer.at.y - grab.pointer.y,
        )
        .pixel()
    }

    /// The topmost window under the pointer. Nothing below it can be reached,
    /// whatever input region its client set: a click seen in one VM's frame
    /// never lands in another VM.
    fn pick(&self) -> Option<(WindowId, Part)> {
        let p = self.pointer.at.pixel();
        let mut windows = self.stack.top_down();
        windows.find_map(|w| w.part_at(p).map(|part| (w.id, part)))
    }

    /// Looks again at what the pointer is over, after it or the windows moved.
    pub(super) fn repick(&mut self) {
        match self.pointer.bound {
            Bound::Free => match self.pick() {
                Some((id, Part::Content)) => self.send_motion(id),
                _ => self.leave(),
            },
            Bound::Client(_) => {}
            Bound::Nobody | Bound::Move(_) | Bound::Resize(..) => self.leave(),
        }
    }

    fn send_motion(&mut self, window: WindowId) {
        let Some(w) = self.stack.get(window) else {
            return;
        };
        let at = self.pointer.at.relative_to(w.content().origin());
        if let Some(old) = self.pointer.over
            && old.vm != window.vm
        {
            self.effects.push(Effect::Leave { vm: old.vm });
        }
        self.pointer.over = Some(window);
        self.effects.push(Effect::Motion { window, at });
    }

    fn leave(&mut self) {
        if let Some(old) = self.pointer.over.take() {
            self.effects.push(Effect::Leave { vm: old.vm });
        }
    }

    /// Forgets windows that are gone.
    pub(super) fn forget(&mut self, gone: impl Fn(WindowId) -> bool) {
        if let Some(old) = self.pointer.over.take_if(|id| gone(*id)) {
            self.effects.push(Effect::Leave { vm: old.vm });
        }
        let named = match self.pointer.bound {
            Bound::Client(id) => Some(id),
            Bound::Move(grab) | Bound::Resize(grab, _) => Some(grab.window),
            Bound::Free | Bound::Nobody => None,
        };
        if named.is_some_and(gone) {
            self.pointer.bound = Bound::Nobody;
        }
    }
}

#[cfg(test)]
impl Core {
    /// What must hold after every call, whatever the clients did.
    pub(super) fn verify_pointer(&self) {
        let alive = |id: WindowId| self.stack.get(id).is_some();
        assert!(self.pointer.over.is_none_or(alive));
        match self.pointer.bound {
            Bound::Free => assert!(self.pointer.held.is_empty()),
            Bound::Client(id) => assert!(alive(id)),
            Bound::Move(grab) | Bound::Resize(grab, _) => assert!(alive(grab.window)),
            Bound::Nobody => {}
        }
        if self.pointer.bound != Bound::Free {
            assert!(!self.pointer.held.is_empty());
        }
        assert!(self.monitor.contains(self.pointer.at.pixel()));
    }
}
