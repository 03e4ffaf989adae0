//! The compositor and its clients, turned by hand.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use calloop::EventLoop;
use tempfile::TempDir;

use super::client::Client;
use crate::config::{Config, Display, TestSocket};
use crate::core::{Point, PointF, Rect, Size};
use crate::frame::Rgb;
use crate::input::InputEvent;
use crate::label::Colour;
use crate::state::{Compositor, Pixels, WindowInfo, WindowKind};

/// Longest any wait may take. Only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Longest one turn waits for events; bounds how late a client is served.
const TURN: Duration = Duration::from_millis(1);

/// Colours of the VMs of a test, in order.
pub(super) const COLOURS: [u32; 4] = [0x00cc_2222, 0x0022_66cc, 0x0022_aa44, 0x00f0_d030];

/// A compositor with some VMs, and their clients.
pub(super) struct Fixture {
    pub(super) compositor: Compositor,
    event_loop: EventLoop<'static, Compositor>,
    clients: Vec<Client>,
    sockets: Vec<TestSocket>,
    _dir: TempDir,
}

/// A client of a [`Fixture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(usize);

impl Fixture {
    /// A compositor of 1280×720 with a VM for each name.
    pub(super) fn new(vms: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = |(name, colour): (&&str, u32)| TestSocket {
            path: dir.path().join(name),
            name: name.parse().unwrap(),
            colour: colour_of(colour),
        };
        let sockets: Vec<TestSocket> = vms.iter().zip(COLOURS).map(socket).collect();
        let config = Config {
            display: Display::Headless {
                size: Size::new(1280, 720),
            },
            control: None,
            listen: None,
            test_sockets: sockets.clone(),
        };
        let event_loop = EventLoop::try_new().unwrap();
        let compositor = crate::run::compositor(&event_loop, &config).unwrap();
        Self {
            compositor,
            event_loop,
            clients: Vec::new(),
            sockets,
            _dir: dir,
        }
    }

    /// Where clients of a VM connect.
    pub(super) fn socket(&self, vm: &str) -> PathBuf {
        let socket = self
            .sockets
            .iter()
            .find(|socket| socket.name.as_str() == vm);
        socket.unwrap_or_else(|| panic!("no VM {vm}")).path.clone()
    }

    /// Connects a new client to a VM's socket; nothing is said yet.
    pub(super) fn connect_raw(&self, vm: &str) -> UnixStream {
        UnixStream::connect(self.socket(vm)).unwrap()
    }

    /// Connects a well-behaved client and lets it bind all globals.
    pub(super) fn connect(&mut self, vm: &str) -> ClientId {
        let client = Client::new(self.connect_raw(vm));
        self.clients.push(client);
        let id = ClientId(self.clients.len() - 1);
        self.roundtrip(id);
        self.client(id).bind_all();
        self.roundtrip(id);
        id
    }

    pub(super) fn client(&mut self, id: ClientId) -> &mut Client {
        &mut self.clients[id.0]
    }

    /// Ends a client's connection; its number stays taken.
    pub(super) fn disconnect(&mut self, id: ClientId) {
        self.clients[id.0].disconnect();
    }

    /// One turn of the compositor, then one of each client.
    pub(super) fn turn(&mut self) {
        self.event_loop
            .dispatch(TURN, &mut self.compositor)
            .unwrap();
        self.compositor.end_turn();
        for client in &mut self.clients {
            client.pump();
        }
    }

    /// Turns until `check` has an answer.
    #[track_caller]
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        mut check: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(answer) = check(self) {
                return answer;
            }
            assert!(Instant::now() < end, "waited too long: {what}");
            self.turn();
        }
    }

    /// Lets the compositor answer everything a client said so far.
    #[track_caller]
    pub(super) fn roundtrip(&mut self, id: ClientId) {
        let token = self.client(id).sync();
        self.until("roundtrip", |fixture| {
            let client = fixture.client(id);
            assert!(client.error.is_none(), "client died: {:?}", client.error);
            client.is_synced(&token).then_some(())
        });
    }

    /// The screen after the next frame.
    #[track_caller]
    pub(super) fn frame(&mut self) -> Pixels {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.compositor.after_frame(Box::new(move |compositor| {
            sender.send(compositor.read_pixels()).unwrap();
        }));
        self.until("a frame", |_| receiver.try_recv().ok())
    }

    /// Mapped windows without popups, topmost first.
    pub(super) fn toplevels(&self) -> Vec<WindowInfo> {
        let mut windows = self.compositor.windows();
        windows.retain(|window| window.kind == WindowKind::Toplevel);
        windows
    }

    /// The one window with this title.
    pub(super) fn find(&self, title: &str) -> Option<WindowInfo> {
        let mut found = self.toplevels();
        found.retain(|window| window.title == title);
        assert!(
            found.len() <= 1,
            "{} windows are called {title}",
            found.len()
        );
        found.pop()
    }

    /// The user acts, and the compositor has a turn.
    pub(super) fn input(&mut self, event: InputEvent) {
        self.compositor.input(event);
        self.turn();
    }

    pub(super) fn key(&mut self, code: u32, pressed: bool) {
        self.input(InputEvent::Key { code, pressed });
    }

    pub(super) fn move_to(&mut self, x: i32, y: i32) {
        self.input(InputEvent::Motion {
            to: PointF::new(f64::from(x), f64::from(y)),
        });
    }

    /// Presses and releases the left button at a place.
    pub(super) fn click(&mut self, x: i32, y: i32) {
        self.move_to(x, y);
        for pressed in [true, false] {
            self.input(InputEvent::Button {
                code: 0x110,
                pressed,
            });
        }
    }

    /// Gives the keyboard to a window by a click into its content.
    #[track_caller]
    pub(super) fn focus(&mut self, title: &str) {
        let content = self.find(title).expect("window to focus").content;
        self.click(content.x + content.w / 2, content.y + content.h / 2);
        self.until("focus", |fixture| {
            fixture.find(title)?.focused.then_some(())
        });
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.compositor.shut_down();
    }
}

/// A colour from `0x00RRGGBB`.
fn colour_of(rgb: u32) -> Colour {
    format!("#{rgb:06x}").parse().unwrap()
}

/// A pixel of the screen.
#[track_caller]
pub(super) fn pixel(pixels: &Pixels, x: i32, y: i32) -> Rgb {
    assert!(
        (0..pixels.size.w).contains(&x) && (0..pixels.size.h).contains(&y),
        "{x},{y} is off the screen"
    );
    Rgb::from_u32(pixels.xrgb[(y * pixels.size.w + x) as usize])
}

/// Checks every pixel of `rect` that is on the screen; `expected` gets
/// coordinates relative to its corner and answers `0x00RRGGBB`.
#[track_caller]
pub(super) fn assert_pixels(
    pixels: &Pixels,
    rect: Rect,
    what: &str,
    expected: impl Fn(i32, i32) -> u32,
) {
    assert_pixels_where(pixels, rect, what, expected, |_, _| true);
}

/// The same for those pixels only whose place on the screen `which` accepts.
#[track_caller]
pub(super) fn assert_pixels_where(
    pixels: &Pixels,
    rect: Rect,
    what: &str,
    expected: impl Fn(i32, i32) -> u32,
    which: impl Fn(i32, i32) -> bool,
) {
    let screen = Rect::at(Point::default(), pixels.size);
    let Some(visible) = rect.intersection(screen) else {
        return;
    };
    for sy in visible.y..visible.bottom() {
        for sx in (visible.x..visible.right()).filter(|&sx| which(sx, sy)) {
            let (x, y) = (sx - rect.x, sy - rect.y);
            let (got, want) = (pixel(pixels, sx, sy), Rgb::from_u32(expected(x, y)));
            assert_eq!(got, want, "{what}: pixel {x},{y} (screen {sx},{sy})");
        }
    }
}
