//! The compositor as one value: what the event loop runs on, and what the
//! control socket may ask and do.
//!
//! A turn of the loop feeds displays and notes what the user did; its end
//! ([`Compositor::end_turn`], in `turn`) lets displays and core act on that and
//! asks for a frame; `draw` makes the frame.

mod clients;
mod display;
mod draw;
mod turn;

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use calloop::{LoopHandle, LoopSignal};
use virtio_wl_bridge::Host;

use crate::backend::{Backend, DisplayLost};
use crate::core::{Core, Rect, Size, VmId, WindowId};
use crate::devices::Devices;
use crate::input::InputEvent;
use crate::label::{Colour, VmName};
use crate::listener::test_socket::SocketFile;
use crate::pacing::Pacing;
use crate::render::{Art, Cursor};
use crate::vms::Vms;

/// Called with the compositor after the frame it waited for.
pub type AfterFrame = Box<dyn FnOnce(&mut Compositor)>;
/// Called after each turn of the loop that changed a window or drew a frame;
/// returns whether it wants to be called again.
pub type Watcher = Box<dyn FnMut(&mut Compositor) -> bool>;

/// Everything the compositor is. Data of the event loop.
pub struct Compositor {
    pub(crate) handle: LoopHandle<'static, Compositor>,
    signal: LoopSignal,
    pub(crate) core: Core,
    pub(crate) vms: Vms,
    pub(crate) art: Art,
    /// What shows where the pointer is, if the backend wants that.
    cursor: Option<Cursor>,
    /// The user moved the pointer, so it is shown.
    pointed: bool,
    pub(crate) devices: Devices,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) pacing: Pacing,
    pub(crate) frames: u64,
    /// Something visible changed since the last frame.
    pub(crate) damaged: bool,
    /// Something a watcher may look at changed since the last turn.
    pub(crate) changed: bool,
    pub(crate) after_frame: Vec<AfterFrame>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) sockets: Vec<SocketFile>,
    pub(crate) host: Option<Host<Self>>,
    /// Why there is nothing left to do.
    failure: Option<DisplayLost>,
}

/// A window as the control socket describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowInfo {
    /// Which window.
    pub id: WindowId,
    /// Name of its VM.
    pub vm_name: VmName,
    /// Colour of its VM.
    pub colour: Colour,
    /// Title as the client set it: untrusted text, at most a few hundred bytes.
    pub title: String,
    /// Application id as the client set it: untrusted text.
    pub app_id: String,
    /// Frame and content, compositor pixels.
    pub frame: Rect,
    /// The client's content, compositor pixels.
    pub content: Rect,
    /// Whether it has the keyboard.
    pub focused: bool,
    /// Window or popup.
    pub kind: WindowKind,
}

/// A VM as the control socket describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmInfo {
    /// Which VM.
    pub id: VmId,
    /// Its name.
    pub name: VmName,
    /// Its connections.
    pub clients: usize,
    /// Processor time spent on its requests.
    pub busy: Duration,
}

/// What a [`WindowInfo`] describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// An xdg toplevel.
    Toplevel,
    /// A popup of the toplevel with the same id.
    Popup,
}

/// A copy of the monitor's picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width and height in pixels.
    pub size: Size,
    /// `size.w * size.h` pixels, row by row, `0x00RRGGBB` (the top byte has no meaning).
    pub xrgb: Vec<u32>,
}

impl Compositor {
    /// An idle compositor on this loop.
    pub(crate) fn new(
        handle: LoopHandle<'static, Compositor>,
        signal: LoopSignal,
        backend: Box<dyn Backend>,
    ) -> anyhow::Result<Self> {
        let cursor = match backend.shows_pointer() {
            true => Some(Cursor::new().context("no memory for a cursor")?),
            false => None,
        };
        Ok(Self {
            handle,
            signal,
            core: Core::new(backend.size()),
            vms: Vms::default(),
            art: Art::default(),
            cursor,
            pointed: false,
            devices: Devices::default(),
            backend,
            pacing: Pacing::default(),
            frames: 0,
            damaged: true,
            changed: false,
            after_frame: Vec::new(),
            watchers: Vec::new(),
            sockets: Vec::new(),
            host: None,
            failure: None,
        })
    }

    /// The loop, for adding event sources.
    pub fn handle(&self) -> &LoopHandle<'static, Compositor> {
        &self.handle
    }

    /// Ends the loop after this turn; everything is then torn down in order.
    pub fn quit(&self) {
        self.signal.stop();
    }

    /// All mapped windows, top first, each popup before its window.
    pub fn windows(&self) -> Vec<WindowInfo> {
        let mut out = Vec::new();
        for window in self.core.windows() {
            let id = window.id();
            let Some(vm) = self.vms.get(id.vm) else {
                continue;
            };
            let (title, app_id) = vm.titles(id.key);
            let base = WindowInfo {
                id,
                vm_name: vm.name().clone(),
                colour: vm.colour(),
                title,
                app_id,
                frame: window.frame(),
                content: window.content(),
                focused: self.core.focus() == Some(id),
                kind: WindowKind::Toplevel,
            };
            out.extend(window.popups().map(|content| WindowInfo {
                frame: crate::core::popup_frame(content),
                content,
                kind: WindowKind::Popup,
                ..base.clone()
            }));
            out.push(base);
        }
        out
    }

    /// The VMs that have a connection, by id.
    pub fn vms(&self) -> Vec<VmInfo> {
        self.vms.connected().collect()
    }

    /// Width and height of the screen in pixels.
    pub fn screen(&self) -> Size {
        self.core.monitor().size()
    }

    /// The monitor's picture as of the last completed frame.
    pub fn read_pixels(&self) -> Pixels {
        Pixels {
            size: self.backend.size(),
            xrgb: self.backend.read(),
        }
    }

    /// Lets the user act. Takes effect when this turn of the loop ends.
    pub fn input(&mut self, event: InputEvent) {
        match event {
            InputEvent::Key { code, pressed } => self.core.key(code, pressed),
            InputEvent::Motion { to } => {
                self.pointed = true;
                self.core.motion(to);
            }
            InputEvent::Button { code, pressed } => self.core.button(code, pressed),
            InputEvent::Axis {
                horizontal,
                vertical,
            } => self.core.axis(horizontal, vertical),
        }
        // A key that moves a window or a focus is seen in the next frame.
        self.damaged = true;
    }

    /// True if VMs can connect, as far as they are to.
    pub fn is_listening(&self) -> bool {
        self.host.as_ref().is_none_or(Host::is_listening)
    }

    /// Frames drawn so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// True if nothing is waiting to be drawn.
    pub fn is_idle(&self) -> bool {
        !self.damaged && !self.pacing.is_armed()
    }

    /// Draws a frame soon, also without damage, and calls back after it. What
    /// clients had committed when this was called is in that frame, as far as
    /// their VM's share of copies allows.
    pub fn after_frame(&mut self, then: AfterFrame) {
        self.after_frame.push(then);
    }

    /// Calls `watcher` after each turn that changed something visible.
    pub fn watch(&mut self, watcher: Watcher) {
        self.watchers.push(watcher);
    }
}

impl fmt::Debug for Compositor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compositor")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pixels")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
