//! The monitor changes under the windows, fails, or shows the pointer.

use std::cell::Cell;
use std::rc::Rc;

use wayland_client::Proxy;
use wayland_client::protocol::wl_output;
use wayland_protocols::xdg::shell::client::xdg_toplevel;

use super::fixture::{ClientId, Fixture, pixel};
use crate::backend::{Backend, BackendError, DisplayLost, Headless};
use crate::core::Size;
use crate::render::element::SceneElement;

/// A monitor that can be exchanged.
#[derive(Debug)]
struct Monitor {
    picture: Headless,
    wanted: Rc<Cell<Size>>,
    gone: Rc<Cell<bool>>,
}

impl Backend for Monitor {
    fn size(&self) -> Size {
        self.picture.size()
    }

    fn draw(&mut self, elements: &[SceneElement]) -> Result<(), BackendError> {
        match self.gone.get() {
            true => Err(DisplayLost::new("unplugged").into()),
            false => self.picture.draw(elements),
        }
    }

    fn read(&self) -> Vec<u32> {
        self.picture.read()
    }

    fn refresh(&mut self) -> Result<bool, BackendError> {
        let changed = self.wanted.get() != self.size();
        if changed {
            self.picture = Headless::new(self.wanted.get()).unwrap();
        }
        Ok(changed)
    }
}

/// Handles to the monitor of a fixture.
struct Plug {
    wanted: Rc<Cell<Size>>,
    gone: Rc<Cell<bool>>,
}

impl Plug {
    fn into(fixture: &mut Fixture) -> Self {
        let size = fixture.compositor.screen();
        let plug = Self {
            wanted: Rc::new(Cell::new(size)),
            gone: Rc::default(),
        };
        fixture.compositor.backend = Box::new(Monitor {
            picture: Headless::new(size).unwrap(),
            wanted: Rc::clone(&plug.wanted),
            gone: Rc::clone(&plug.gone),
        });
        plug
    }

    fn resize(&self, fixture: &mut Fixture, w: i32, h: i32) {
        self.wanted.set(Size::new(w, h));
        fixture.compositor.monitor_changed();
        fixture.turn();
    }
}

/// Sizes of the monitor's mode that a client was told, in order.
fn modes(fixture: &mut Fixture, id: ClientId) -> Vec<(i32, i32)> {
    let events = fixture.client(id).state.output.iter();
    let modes = events.filter_map(|event| match event {
        wl_output::Event::Mode { width, height, .. } => Some((*width, *height)),
        _ => None,
    });
    modes.collect()
}

#[test]
fn clients_of_all_vms_hear_of_another_size_once() {
    let mut fixture = Fixture::new(&["a", "b"]);
    let plug = Plug::into(&mut fixture);
    let clients = ["a", "b"].map(|vm| fixture.connect(vm));
    plug.resize(&mut fixture, 1920, 1080);
    fixture.compositor.monitor_changed();
    for id in clients {
        fixture.roundtrip(id);
        assert_eq!(modes(&mut fixture, id), [(1280, 720), (1920, 1080)]);
        let last = fixture.client(id).state.output.last();
        assert!(matches!(last, Some(wl_output::Event::Done)), "{last:?}");
    }
    let late = fixture.connect("a");
    assert_eq!(modes(&mut fixture, late), [(1920, 1080)]);
    assert_eq!(fixture.frame().size, Size::new(1920, 1080));
}

#[test]
fn a_window_that_fills_the_monitor_fills_the_new_one_as_well() {
    let mut fixture = Fixture::new(&["a"]);
    let plug = Plug::into(&mut fixture);
    let id = fixture.connect("a");
    let full = fixture.window(id, "full", (300, 200), 1);
    let small = fixture.window(id, "small", (300, 200), 2);
    full.toplevel.set_maximized();
    fixture.roundtrip(id);
    let room = |fixture: &Fixture, size: Size| {
        let window = fixture.find("full").unwrap();
        let frame = (
            window.frame.w - window.content.w,
            window.frame.h - window.content.h,
        );
        (size.w - frame.0, size.h - frame.1)
    };
    let asked = |fixture: &mut Fixture, window: &xdg_toplevel::XdgToplevel| {
        let events = fixture.client(id).state.toplevel.iter();
        let mut sizes = events.filter(|(of, _)| *of == window.id()).rev();
        sizes.find_map(|(_, event)| match event {
            xdg_toplevel::Event::Configure { width, height, .. } => Some((*width, *height)),
            _ => None,
        })
    };
    let before = room(&fixture, Size::new(1280, 720));
    assert_eq!(asked(&mut fixture, &full.toplevel), Some(before));
    plug.resize(&mut fixture, 800, 600);
    fixture.roundtrip(id);
    let after = room(&fixture, Size::new(800, 600));
    assert_eq!(asked(&mut fixture, &full.toplevel), Some(after));
    assert_eq!(asked(&mut fixture, &small.toplevel), Some((0, 0)));
}

#[test]
fn the_pointer_stays_on_a_monitor_that_shrinks() {
    let mut fixture = Fixture::new(&["a"]);
    let plug = Plug::into(&mut fixture);
    fixture.move_to(1279, 719);
    plug.resize(&mut fixture, 640, 480);
    let at = fixture.compositor.core.pointer();
    assert_eq!((at.x, at.y), (639.0, 479.0));
    let screen = fixture.frame();
    assert_eq!(pixel(&screen, 639, 479), pixel(&screen, 0, 0));
}

#[test]
fn a_display_that_is_lost_ends_the_compositor_and_says_why() {
    let mut fixture = Fixture::new(&["a"]);
    let plug = Plug::into(&mut fixture);
    let id = fixture.connect("a");
    plug.gone.set(true);
    fixture.window(id, "w", (300, 200), 1);
    let lost = fixture.until("the end", |fixture| fixture.compositor.take_failure());
    assert_eq!(lost.to_string(), "unplugged");
}
