//! Popups: placed, framed, and gone when the user turns elsewhere.

use wayland_client::Proxy;
use wayland_client::protocol::wl_pointer;
use wayland_protocols::xdg::shell::client::{xdg_popup, xdg_positioner, xdg_surface};

use super::client::Window;
use super::fixture::{COLOURS, ClientId, Fixture, assert_pixels};
use super::windows::pattern;
use crate::core::Rect;
use crate::frame::FrameLayout;
use crate::state::{WindowInfo, WindowKind};

const SIDE: i32 = 60;

impl Fixture {
    /// A mapped popup of `SIDE`×`SIDE` at (`x`, `y`) of its window. With a
    /// serial it grabs.
    #[track_caller]
    fn popup(
        &mut self,
        id: ClientId,
        parent: &xdg_surface::XdgSurface,
        (x, y): (i32, i32),
        grab: Option<u32>,
    ) -> xdg_popup::XdgPopup {
        let client = self.client(id);
        let (bound, handle) = (client.bound(), client.handle());
        let positioner = bound.wm_base.create_positioner(&handle, ());
        positioner.set_size(SIDE, SIDE);
        positioner.set_anchor_rect(x, y, 1, 1);
        positioner.set_anchor(xdg_positioner::Anchor::TopLeft);
        positioner.set_gravity(xdg_positioner::Gravity::BottomRight);
        positioner.set_constraint_adjustment(
            xdg_positioner::ConstraintAdjustment::FlipX
                | xdg_positioner::ConstraintAdjustment::FlipY,
        );
        let surface = bound.compositor.create_surface(&handle, ());
        let xdg = bound.wm_base.get_xdg_surface(&surface, &handle, ());
        let popup = xdg.get_popup(Some(parent), &positioner, &handle, ());
        if let Some(serial) = grab {
            popup.grab(&bound.seat, serial);
        }
        surface.commit();
        self.until("configure", |fixture| {
            fixture.client(id).acknowledge(&xdg).then_some(())
        });
        let buffer = self.client(id).buffer(SIDE, SIDE, pattern(50));
        surface.attach(Some(&buffer), 0, 0);
        surface.damage_buffer(0, 0, SIDE, SIDE);
        surface.commit();
        let before = self.popups().len();
        self.roundtrip(id);
        self.until("popup", |fixture| {
            (fixture.popups().len() >= before.max(1)).then_some(())
        });
        popup
    }

    fn popups(&self) -> Vec<WindowInfo> {
        let mut windows = self.compositor.windows();
        windows.retain(|window| window.kind == WindowKind::Popup);
        windows
    }

    /// Serial of the last button press a client saw.
    fn press_serial(&mut self, id: ClientId) -> u32 {
        self.roundtrip(id);
        let serial = self
            .client(id)
            .state
            .pointer
            .iter()
            .rev()
            .find_map(|event| match event {
                wl_pointer::Event::Button { serial, .. } => Some(*serial),
                _ => None,
            });
        serial.expect("a click")
    }

    fn is_done(&mut self, id: ClientId, popup: &xdg_popup::XdgPopup) -> bool {
        let done = |(object, event): &(_, xdg_popup::Event)| {
            *object == popup.id() && matches!(event, xdg_popup::Event::PopupDone)
        };
        self.client(id).state.popup.iter().any(done)
    }
}

fn window(vm_titles: &[(&str, &str)]) -> (Fixture, Vec<(ClientId, Window)>) {
    let names: Vec<&str> = vm_titles.iter().map(|(vm, _)| *vm).collect();
    let mut fixture = Fixture::new(&names);
    let mut clients = Vec::new();
    for (vm, title) in vm_titles {
        let id = fixture.connect(vm);
        let window = fixture.window(id, title, (300, 200), 1);
        clients.push((id, window));
    }
    (fixture, clients)
}

#[test]
fn a_popup_is_framed_in_its_vms_colour() {
    let (mut fixture, clients) = window(&[("personal", "w")]);
    let (id, window) = &clients[0];
    fixture.popup(*id, &window.xdg, (40, 30), None);
    let parent = fixture.find("w").unwrap();
    let [popup] = &fixture.popups()[..] else {
        panic!("{:?}", fixture.popups())
    };
    assert_eq!(popup.id, parent.id);
    assert_eq!(
        popup.content,
        Rect::new(parent.content.x + 40, parent.content.y + 30, SIDE, SIDE)
    );
    let screen = fixture.frame();
    assert_pixels(&screen, popup.content, "popup", pattern(50));
    let layout = FrameLayout::popup(popup.content.size());
    assert_eq!(popup.frame.size(), layout.outer);
    for part in layout.solids().into_iter().chain([layout.bar]) {
        assert_pixels(
            &screen,
            part.offset(popup.frame.origin()),
            "frame of popup",
            |_, _| COLOURS[0],
        );
    }
}

#[test]
fn a_popup_at_the_edge_of_the_screen_flips() {
    let (mut fixture, clients) = window(&[("personal", "w")]);
    let (id, window) = &clients[0];
    fixture.draw(*id, window, (1280, 720), 1);
    let content = fixture.find("w").unwrap().content;
    // A popup that begins where the screen ends.
    let (x, y) = (1280 - content.x - 8, 720 - content.y - 8);
    fixture.popup(*id, &window.xdg, (x, y), None);
    let popup = fixture.popups().remove(0);
    assert!(
        popup.frame.right() <= 1280 && popup.frame.bottom() <= 720,
        "{:?}",
        popup.frame
    );
}

#[test]
fn a_click_elsewhere_in_the_vm_ends_a_menu() {
    let (mut fixture, clients) = window(&[("personal", "w")]);
    let (id, window) = &clients[0];
    let content = fixture.find("w").unwrap().content;
    fixture.click(content.x + 5, content.y + 5);
    let serial = fixture.press_serial(*id);
    let popup = fixture.popup(*id, &window.xdg, (100, 100), Some(serial));
    // Outside everything.
    fixture.click(1279, 719);
    fixture.until("the end of the menu", |fixture| {
        fixture.is_done(*id, &popup).then_some(())
    });
}

#[test]
fn a_click_in_another_vm_ends_a_menu() {
    let (mut fixture, clients) = window(&[("personal", "a"), ("work", "b")]);
    let (id, window) = &clients[0];
    fixture.focus("a");
    let serial = fixture.press_serial(*id);
    let popup = fixture.popup(*id, &window.xdg, (10, 10), Some(serial));
    fixture.focus("b");
    fixture.until("the end of the menu", |fixture| {
        fixture.is_done(*id, &popup).then_some(())
    });
    popup.destroy();
    fixture.until("no popup", |fixture| {
        fixture.popups().is_empty().then_some(())
    });
    // Neither VM is stuck in the grab.
    fixture.focus("a");
    fixture.focus("b");
}

#[test]
fn popups_go_with_their_window() {
    let (mut fixture, clients) = window(&[("personal", "w")]);
    let (id, window) = &clients[0];
    fixture.popup(*id, &window.xdg, (10, 10), None);
    fixture.disconnect(*id);
    fixture.until("nothing", |fixture| {
        fixture.compositor.windows().is_empty().then_some(())
    });
}
