//! A hostile client with the usual objects, and a neighbour that must not notice.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::client::{Window, memory};
use super::fixture::{ClientId, Fixture, assert_pixels_where};
use super::windows::pattern;
use super::wire::{Msg, Outcome, Raw};
use crate::core::Point;

/// Side of the hostile client's window, pixels.
pub(super) const SIDE: i32 = 64;

/// Format code of XRGB8888 in wl_shm.
pub(super) const XRGB: i32 = 1;

/// A raw client that has bound what windows need, and made one surface.
pub(super) struct Attacker {
    pub(super) raw: Raw,
    pub(super) compositor: u32,
    pub(super) subcompositor: u32,
    pub(super) shm: u32,
    pub(super) wm: u32,
    pub(super) viewporter: u32,
    pub(super) seat: u32,
    pub(super) data_manager: u32,
    pub(super) surface: u32,
}

/// A toplevel of an [`Attacker`].
pub(super) struct HostileWindow {
    pub(super) xdg: u32,
    pub(super) toplevel: u32,
}

impl Attacker {
    #[track_caller]
    pub(super) fn new(fixture: &mut Fixture, vm: &str) -> Self {
        let mut raw = Raw::connect(fixture, vm);
        let compositor = raw.bind("wl_compositor");
        let surface = raw.create(compositor, 0, |m| m);
        Self {
            compositor,
            surface,
            subcompositor: raw.bind("wl_subcompositor"),
            shm: raw.bind("wl_shm"),
            wm: raw.bind("xdg_wm_base"),
            viewporter: raw.bind("wp_viewporter"),
            seat: raw.bind("wl_seat"),
            data_manager: raw.bind("wl_data_device_manager"),
            raw,
        }
    }

    pub(super) fn send(&mut self, message: Msg) {
        self.raw.send(message);
    }

    pub(super) fn new_surface(&mut self) -> u32 {
        self.raw.create(self.compositor, 0, |m| m)
    }

    pub(super) fn region(&mut self) -> u32 {
        self.raw.create(self.compositor, 1, |m| m)
    }

    /// `wl_shm.create_pool` with any file and any size.
    pub(super) fn pool(&mut self, file: impl Into<OwnedFd>, size: i32) -> u32 {
        self.raw.create(self.shm, 0, |m| m.fd(file).i(size))
    }

    /// `wl_shm_pool.create_buffer`: offset, width, height, stride, format.
    pub(super) fn pool_buffer(&mut self, pool: u32, arguments: [i32; 5]) -> u32 {
        self.raw.create(pool, 0, |m| m.is(arguments))
    }

    /// A good buffer of `w`×`h` zeroes, and its memory.
    pub(super) fn buffer(&mut self, w: i32, h: i32) -> (u32, File) {
        let size = w * h * 4;
        let file = memory(size as u64);
        let pool = self.pool(file.try_clone().unwrap(), size);
        (self.pool_buffer(pool, [0, w, h, w * 4, XRGB]), file)
    }

    pub(super) fn attach(&mut self, surface: u32, buffer: u32) {
        self.send(Msg::new(surface, 1).u(buffer).is([0, 0]));
    }

    pub(super) fn commit(&mut self, surface: u32) {
        self.send(Msg::new(surface, 6));
    }

    /// Attaches a good buffer, damages all of it and commits.
    pub(super) fn show(&mut self, surface: u32) {
        let (buffer, _) = self.buffer(SIDE, SIDE);
        self.attach(surface, buffer);
        self.send(Msg::new(surface, 9).is([0, 0, SIDE, SIDE]));
        self.commit(surface);
    }

    pub(super) fn xdg_surface(&mut self, surface: u32) -> u32 {
        self.raw.create(self.wm, 2, |m| m.u(surface))
    }

    /// Makes `self.surface` a toplevel; nothing is committed.
    pub(super) fn role(&mut self) -> HostileWindow {
        let xdg = self.xdg_surface(self.surface);
        let toplevel = self.raw.create(xdg, 1, |m| m);
        HostileWindow { xdg, toplevel }
    }

    /// Makes `self.surface` a mapped window.
    #[track_caller]
    pub(super) fn map(&mut self, fixture: &mut Fixture) -> HostileWindow {
        let window = self.role();
        self.commit(self.surface);
        self.acknowledge(fixture, window.xdg);
        self.show(self.surface);
        assert_eq!(
            self.raw.roundtrip(fixture),
            Outcome::Served,
            "a good window is accepted"
        );
        window
    }

    /// Waits for a configure and acknowledges it.
    #[track_caller]
    pub(super) fn acknowledge(&mut self, fixture: &mut Fixture, xdg: u32) {
        let serial = fixture.until("configure", |_| {
            self.raw.pump();
            assert!(
                !self.raw.closed,
                "died before configure: {:?}",
                self.raw.error
            );
            let found = self
                .raw
                .events
                .iter()
                .rev()
                .find(|(object, opcode, _)| *object == xdg && *opcode == 0);
            found.map(|(.., body)| u32::from_ne_bytes(body[..4].try_into().unwrap()))
        });
        self.send(Msg::new(xdg, 4).u(serial));
    }

    pub(super) fn subsurface(&mut self, surface: u32, parent: u32) -> u32 {
        self.raw
            .create(self.subcompositor, 1, |m| m.u(surface).u(parent))
    }

    pub(super) fn viewport(&mut self, surface: u32) -> u32 {
        self.raw.create(self.viewporter, 1, |m| m.u(surface))
    }

    /// A positioner with a size and an anchor rectangle.
    pub(super) fn positioner(&mut self, size: [i32; 2], anchor: [i32; 4]) -> u32 {
        let positioner = self.raw.create(self.wm, 1, |m| m);
        self.send(Msg::new(positioner, 1).is(size));
        self.send(Msg::new(positioner, 2).is(anchor));
        positioner
    }

    /// A popup of `parent` with a buffer, as far as the compositor lets it.
    pub(super) fn popup(&mut self, fixture: &mut Fixture, parent: u32, positioner: u32) -> u32 {
        let surface = self.new_surface();
        let xdg = self.xdg_surface(surface);
        let popup = self.raw.create(xdg, 2, |m| m.u(parent).u(positioner));
        self.commit(surface);
        if self.raw.roundtrip(fixture) == Outcome::Served {
            self.acknowledge(fixture, xdg);
            self.show(surface);
        }
        popup
    }
}

/// A window of another VM that must stay as it is, whatever happens.
pub(super) struct Neighbour {
    client: ClientId,
    window: Window,
    title: String,
    seed: u32,
}

impl Neighbour {
    #[track_caller]
    pub(super) fn new(fixture: &mut Fixture, vm: &str) -> Self {
        let client = fixture.connect(vm);
        let title = format!("neighbour in {vm}");
        let window = fixture.window(client, &title, (96, 80), 1);
        Self {
            client,
            window,
            title,
            seed: 1,
        }
    }

    /// Draws something new and checks that it is on the screen.
    /// Draws something new, and checks that it is on the screen as far as no
    /// other window covers it.
    #[track_caller]
    pub(super) fn check(&mut self, fixture: &mut Fixture) {
        self.seed += 1;
        fixture.draw(self.client, &self.window, (96, 80), self.seed);
        let screen = fixture.frame();
        let windows = fixture.compositor.windows();
        let own = windows.iter().position(|window| window.title == self.title);
        let (above, rest) = windows.split_at(own.expect("the neighbour's window is there"));
        let content = rest[0].content;
        let covered = |x, y| {
            above
                .iter()
                .any(|window| window.frame.contains(Point::new(x, y)))
        };
        assert_pixels_where(&screen, content, "neighbour", pattern(self.seed), |x, y| {
            !covered(x, y)
        });
    }

    /// The same, after a click that brings the window to the top.
    #[track_caller]
    pub(super) fn check_on_top(&mut self, fixture: &mut Fixture) {
        fixture.focus(&self.title);
        self.check(fixture);
        assert!(fixture.compositor.windows()[0].focused);
    }
}
