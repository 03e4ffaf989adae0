//! What each request does.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use memfd::{FileSeal, MemfdOptions};

use super::connection::Connection;
use super::protocol::{
    Area, Input, Kind, MAX_TEXT_CHARS, MAX_TOKEN_BYTES, Reply, Request, Stats, VmStats, Window,
};
use super::wait;
use crate::core::{PointF, Rect};
use crate::input::InputEvent;
use crate::keymap::{KeyAct, press_and_release};
use crate::state::{Compositor, Pixels, WindowInfo, WindowKind};

/// Runs one request; the reply may come later.
pub(super) fn run(connection: &Rc<Connection>, compositor: &mut Compositor, request: Request) {
    let reply = match request {
        Request::Hello { token } if token.len() > MAX_TOKEN_BYTES => {
            error(format!("a token has at most {MAX_TOKEN_BYTES} bytes"))
        }
        Request::Hello { token } => Reply::Hello { token },
        Request::Windows {} => {
            Reply::Windows(compositor.windows().into_iter().map(Window::from).collect())
        }
        Request::Stats {} => Reply::Stats(stats(compositor)),
        Request::Quit {} => {
            compositor.quit();
            Reply::Ok {}
        }
        Request::Input(input) => act(connection, compositor, &input),
        Request::Screenshot {} => return screenshot(connection, compositor),
        Request::Wait { until, timeout_ms } => {
            return wait::start(connection, compositor, until, timeout_ms);
        }
    };
    connection.reply(compositor, &reply, None);
}

fn error(message: impl ToString) -> Reply {
    Reply::Error {
        message: message.to_string(),
    }
}

fn stats(compositor: &Compositor) -> Stats {
    let mut toplevels = compositor.windows();
    toplevels.retain(|window| window.kind == WindowKind::Toplevel);
    let vms = compositor.vms().into_iter().map(|vm| VmStats {
        id: vm.id.0,
        name: vm.name.to_string(),
        clients: vm.clients,
        windows: toplevels.iter().filter(|w| w.id.vm == vm.id).count(),
        busy_ms: vm.busy.as_millis().try_into().unwrap_or(u64::MAX),
    });
    let size = compositor.screen();
    Stats {
        frames: compositor.frames(),
        windows: toplevels.len(),
        screen: (size.w.unsigned_abs(), size.h.unsigned_abs()),
        vms: vms.collect(),
    }
}

fn screenshot(connection: &Rc<Connection>, compositor: &mut Compositor) {
    let connection = Rc::clone(connection);
    compositor.after_frame(Box::new(move |compositor| {
        let pixels = compositor.read_pixels();
        let (width, height) = (pixels.size.w.unsigned_abs(), pixels.size.h.unsigned_abs());
        match share(&pixels) {
            Ok(fd) => connection.reply(compositor, &Reply::Screenshot { width, height }, Some(fd)),
            Err(e) => connection.reply(
                compositor,
                &error(format!("no memory for the picture: {e}")),
                None,
            ),
        }
    }));
}

/// A picture in memory that nobody can change any more.
fn share(pixels: &Pixels) -> io::Result<OwnedFd> {
    let other = |error: memfd::Error| io::Error::other(error.to_string());
    let memory = MemfdOptions::default()
        .allow_sealing(true)
        .create("screenshot")
        .map_err(other)?;
    let bytes: Vec<u8> = pixels
        .xrgb
        .iter()
        .flat_map(|pixel| pixel.to_ne_bytes())
        .collect();
    memory.as_file().write_all(&bytes)?;
    memory
        .add_seals(&[
            FileSeal::SealShrink,
            FileSeal::SealGrow,
            FileSeal::SealWrite,
            FileSeal::SealSeal,
        ])
        .map_err(other)?;
    Ok(memory.into_file().into())
}

fn act(connection: &Connection, compositor: &mut Compositor, input: &Input) -> Reply {
    match events(connection, input) {
        Ok(events) => {
            for event in events {
                compositor.input(event);
            }
            Reply::Ok {}
        }
        Err(message) => error(message),
    }
}

/// The events that `input` stands for; none when it makes no sense.
fn events(connection: &Connection, input: &Input) -> Result<Vec<InputEvent>, String> {
    let typist = || connection.shared().typist().map_err(|e| e.to_string());
    match *input {
        Input::Key { ref key, pressed } => {
            let codes = typist()?.keys(key).map_err(|e| e.to_string())?;
            let acts = press_and_release(&codes);
            Ok(acts
                .into_iter()
                .filter(|act| pressed.is_none_or(|p| p == act.pressed))
                .map(key_event)
                .collect())
        }
        Input::Type { ref text } => {
            if text.chars().count() > MAX_TEXT_CHARS {
                return Err(format!("more than {MAX_TEXT_CHARS} characters at a time"));
            }
            let acts = typist()?.text(text).map_err(|e| e.to_string())?;
            Ok(acts.into_iter().map(key_event).collect())
        }
        Input::Move { x, y } => Ok(vec![InputEvent::Motion {
            to: PointF::new(x, y),
        }]),
        Input::Button { code, pressed } => {
            let halves = pressed.map_or(vec![true, false], |pressed| vec![pressed]);
            Ok(halves
                .into_iter()
                .map(|pressed| InputEvent::Button { code, pressed })
                .collect())
        }
        Input::Axis {
            horizontal,
            vertical,
        } => Ok(vec![InputEvent::Axis {
            horizontal,
            vertical,
        }]),
    }
}

fn key_event(act: KeyAct) -> InputEvent {
    InputEvent::Key {
        code: act.code,
        pressed: act.pressed,
    }
}

impl From<WindowInfo> for Window {
    fn from(info: WindowInfo) -> Self {
        Self {
            vm: info.vm_name.to_string(),
            vm_id: info.id.vm.0,
            window: info.id.key.0,
            kind: match info.kind {
                WindowKind::Toplevel => Kind::Toplevel,
                WindowKind::Popup => Kind::Popup,
            },
            title: info.title,
            app_id: info.app_id,
            colour: info.colour.to_string(),
            frame: info.frame.into(),
            content: info.content.into(),
            focused: info.focused,
        }
    }
}

impl From<Rect> for Area {
    fn from(rect: Rect) -> Self {
        Self {
            x: rect.x,
            y: rect.y,
            width: rect.w,
            height: rect.h,
        }
    }
}
