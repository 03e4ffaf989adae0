//! The compositor as one value: what the event loop runs on, and what the
//! control socket may ask and do.

use std::fmt;

use calloop::{LoopHandle, LoopSignal};

use crate::config::Config;
use crate::core::{Rect, Size, VmId, WindowId};
use crate::input::InputEvent;
use crate::label::{Colour, VmName};

/// Called with the compositor after the frame it waited for.
pub type AfterFrame = Box<dyn FnOnce(&mut Compositor)>;
/// Called after each turn of the loop that changed a window or drew a frame;
/// returns whether it wants to be called again.
pub type Watcher = Box<dyn FnMut(&mut Compositor) -> bool>;

/// Everything the compositor is. Data of the event loop.
pub struct Compositor {
    handle: LoopHandle<'static, Compositor>,
    signal: LoopSignal,
    size: Size,
    frames: u64,
    after_frame: Vec<AfterFrame>,
    watchers: Vec<Watcher>,
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
    pub fn new(
        handle: LoopHandle<'static, Compositor>,
        signal: LoopSignal,
        config: &Config,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            handle,
            signal,
            size: config.size,
            frames: 0,
            after_frame: Vec::new(),
            watchers: Vec::new(),
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
        Vec::new()
    }

    /// The VMs that have a connection, by id.
    pub fn vms(&self) -> Vec<(VmId, VmName)> {
        Vec::new()
    }

    /// The monitor's picture as of the last completed frame.
    pub fn read_pixels(&self) -> Pixels {
        Pixels {
            size: self.size,
            xrgb: vec![0; self.size.area() as usize],
        }
    }

    /// Lets the user act. Takes effect at once; clients hear of it when this
    /// turn of the loop ends.
    pub fn input(&mut self, event: InputEvent) {
        tracing::trace!(?event, "input");
    }

    /// Frames drawn so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// True if nothing is waiting to be drawn.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// Draws a frame soon, also without damage, and calls back after it. All
    /// that clients had committed when this was called is in that frame.
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
            .field("size", &self.size)
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
