//! Windows as a user sees them: framed, in the right colour, pixel for pixel.

use wayland_client::{Proxy, WEnum};
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1;

use super::client::Window;
use super::fixture::{COLOURS, ClientId, Fixture, assert_pixels, pixel};
use crate::core::{Rect, Size};
use crate::frame::geometry::{BORDER, TITLE_BAR};
use crate::frame::{BarSpec, Painter, Rgb};

/// A picture whose every pixel says where it is and whose it is.
pub(super) fn pattern(seed: u32) -> impl Fn(i32, i32) -> u32 + Copy {
    move |x, y| {
        let (x, y) = (x as u32, y as u32);
        (x.wrapping_mul(7) & 0xff) << 16 | (y.wrapping_mul(5) & 0xff) << 8 | (seed ^ x ^ y) & 0xff
    }
}

impl Fixture {
    /// A mapped window of `w`×`h` with the picture `pattern(seed)`.
    #[track_caller]
    pub(super) fn window(
        &mut self,
        id: ClientId,
        title: &str,
        size: (i32, i32),
        seed: u32,
    ) -> Window {
        let window = self.client(id).toplevel(title);
        self.until("configure", |fixture| {
            fixture.client(id).acknowledge(&window.xdg).then_some(())
        });
        self.draw(id, &window, size, seed);
        self.until("mapped window", |fixture| fixture.find(title));
        window
    }

    /// Commits a whole picture.
    #[track_caller]
    pub(super) fn draw(&mut self, id: ClientId, window: &Window, (w, h): (i32, i32), seed: u32) {
        let buffer = self.client(id).buffer(w, h, pattern(seed));
        window.surface.attach(Some(&buffer), 0, 0);
        window.surface.damage_buffer(0, 0, w, h);
        window.surface.commit();
        self.roundtrip(id);
    }
}

#[test]
fn a_window_is_framed_in_its_vms_colour_and_name() {
    let mut fixture = Fixture::new(&["personal", "work"]);
    let mut painter = Painter::new();
    for (vm, title) in [("personal", "mail"), ("work", "editor")] {
        let client = fixture.connect(vm);
        fixture.window(client, title, (300, 200), 1);
    }
    let screen = fixture.frame();
    for (vm, title, colour) in [
        ("personal", "mail", COLOURS[0]),
        ("work", "editor", COLOURS[1]),
    ] {
        let info = fixture.find(title).unwrap();
        assert_eq!(info.vm_name.as_str(), vm);
        assert_eq!(info.content.size(), Size::new(300, 200));
        assert_pixels(&screen, info.content, title, pattern(1));

        let layout = painter.toplevel(info.content.size(), vm);
        assert_eq!(info.frame.size(), layout.outer);
        for part in layout.solids() {
            assert_pixels(
                &screen,
                part.offset(info.frame.origin()),
                "border",
                |_, _| colour,
            );
        }
        let bar = painter.bar(&BarSpec {
            name: vm.to_owned(),
            colour: Rgb::from_u32(colour),
            title: title.to_owned(),
            focused: info.focused,
            width: layout.bar.w,
            scale: 1,
        });
        let expected = |x, y| bar.get(x, y).unwrap().pixel();
        assert_pixels(
            &screen,
            layout.bar.offset(info.frame.origin()),
            "bar",
            expected,
        );
    }
}

#[test]
fn frames_are_outside_the_content() {
    let mut fixture = Fixture::new(&["personal"]);
    let client = fixture.connect("personal");
    fixture.window(client, "w", (120, 90), 3);
    let info = fixture.find("w").unwrap();
    const { assert!(BORDER >= 4) };
    assert_eq!(info.content.x - info.frame.x, BORDER);
    assert_eq!(info.content.y - info.frame.y, BORDER + TITLE_BAR);
    assert!(info.frame.right() - info.content.right() >= BORDER);
    assert_eq!(info.frame.bottom() - info.content.bottom(), BORDER);
}

#[test]
fn only_the_focused_window_looks_focused() {
    let mut fixture = Fixture::new(&["personal", "work"]);
    for (vm, title) in [("personal", "a"), ("work", "b")] {
        let client = fixture.connect(vm);
        fixture.window(client, title, (300, 200), 1);
    }
    for (focused, other) in [("a", "b"), ("b", "a")] {
        fixture.focus(focused);
        let screen = fixture.frame();
        // The far right of the title strip, where no text reaches.
        let strip = |title: &str| {
            let info = fixture.find(title).unwrap();
            pixel(&screen, info.content.right() - 4, info.frame.y + BORDER + 3)
        };
        assert!(strip(focused).luminance() > strip(other).luminance());
    }
}

#[test]
fn a_new_buffer_size_moves_the_frame() {
    let mut fixture = Fixture::new(&["personal"]);
    let client = fixture.connect("personal");
    let window = fixture.window(client, "w", (200, 100), 1);
    for (n, size) in [(640, 400), (30, 20), (201, 99)].into_iter().enumerate() {
        let seed = n as u32 + 2;
        fixture.draw(client, &window, size, seed);
        let info = fixture.until("new size", |fixture| {
            let info = fixture.find("w")?;
            (info.content.size() == Size::new(size.0, size.1)).then_some(info)
        });
        let screen = fixture.frame();
        assert_pixels(&screen, info.content, "content", pattern(seed));
        assert_eq!(
            pixel(&screen, info.frame.x, info.frame.bottom() - 1),
            Rgb::from_u32(COLOURS[0])
        );
    }
}

#[test]
fn closing_a_window_uncovers_the_one_below() {
    let mut fixture = Fixture::new(&["personal", "work"]);
    let below = fixture.connect("personal");
    fixture.window(below, "below", (900, 500), 1);
    let above = fixture.connect("work");
    let window = fixture.window(above, "above", (900, 500), 2);
    window.toplevel.destroy();
    window.xdg.destroy();
    window.surface.destroy();
    fixture.until("one window", |fixture| {
        (fixture.toplevels().len() == 1).then_some(())
    });
    let info = fixture.find("below").unwrap();
    assert!(info.focused);
    assert_pixels(&fixture.frame(), info.content, "below", pattern(1));
}

#[test]
fn unmapping_and_mapping_again_works() {
    let mut fixture = Fixture::new(&["personal"]);
    let client = fixture.connect("personal");
    let window = fixture.window(client, "w", (100, 100), 1);
    for seed in 2..6 {
        window.surface.attach(None, 0, 0);
        window.surface.commit();
        fixture.until("no window", |fixture| {
            fixture.toplevels().is_empty().then_some(())
        });
        // Back to the state before the first commit: configure is due again.
        fixture
            .client(client)
            .state
            .configured
            .remove(&window.xdg.id());
        window.surface.commit();
        fixture.until("configure", |fixture| {
            fixture
                .client(client)
                .acknowledge(&window.xdg)
                .then_some(())
        });
        fixture.draw(client, &window, (100, 100), seed);
        let info = fixture.until("window", |fixture| fixture.find("w"));
        assert_pixels(&fixture.frame(), info.content, "content", pattern(seed));
    }
}

#[test]
fn a_title_cannot_change_the_label() {
    let mut fixture = Fixture::new(&["personal"]);
    let client = fixture.connect("personal");
    let window = fixture.window(client, "plain", (300, 100), 1);
    let info = fixture.find("plain").unwrap();
    let label = Rect::new(
        0,
        0,
        BORDER + Painter::new().label_width("personal"),
        BORDER + TITLE_BAR,
    );
    let label = label.offset(info.frame.origin());
    let before = fixture.frame();
    for title in ["[work] shell", "\u{202e}krow", &"M".repeat(3000), ""] {
        window.toplevel.set_title(title.to_owned());
        window.surface.commit();
        fixture.roundtrip(client);
        let after = fixture.frame();
        let expected = |x, y| pixel(&before, label.x + x, label.y + y).pixel();
        assert_pixels(&after, label, title, expected);
    }
}

#[test]
fn a_client_that_wants_to_decorate_itself_is_told_not_to() {
    let mut fixture = Fixture::new(&["personal"]);
    let id = fixture.connect("personal");
    let client = fixture.client(id);
    let window = client.toplevel("w");
    let manager = client.bound().decoration;
    let decoration = manager.get_toplevel_decoration(&window.toplevel, &client.handle(), ());
    decoration.set_mode(zxdg_toplevel_decoration_v1::Mode::ClientSide);
    window.surface.commit();
    fixture.roundtrip(id);
    let heard = &fixture.client(id).state.decoration;
    assert!(!heard.is_empty());
    for event in heard {
        let zxdg_toplevel_decoration_v1::Event::Configure { mode } = event else {
            panic!("{event:?}")
        };
        assert_eq!(
            *mode,
            WEnum::Value(zxdg_toplevel_decoration_v1::Mode::ServerSide)
        );
    }
}
