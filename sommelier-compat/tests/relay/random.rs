//! Any client that says truthfully what changed shows exactly what it drew,
//! whenever and in whatever order the compositor releases.

use proptest::prelude::*;
use wayland_client::protocol::{
    wl_buffer::WlBuffer, wl_compositor::WlCompositor, wl_shm::WlShm, wl_surface::WlSurface,
};

use crate::fixture::Fixture;
use crate::painter::Pool;
use crate::server;

const WIDTH: i32 = 24;
const HEIGHT: i32 = 16;
const LEN: usize = (WIDTH * HEIGHT * 4) as usize;
const BUFFERS: usize = 3;
const SURFACES: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    /// Repaint parts of a surface's picture, in a buffer, and commit it.
    Draw {
        surface: usize,
        buffer: usize,
        rects: Vec<[i32; 4]>,
        in_pixels: bool,
    },
    /// Commit without a new buffer.
    Idle { surface: usize },
    /// The compositor gives one of its buffers back.
    Release { which: usize },
    /// The client makes one of its buffers anew.
    Recreate { buffer: usize },
    /// Other units for damage from now on.
    Scale { surface: usize, scale: i32 },
}

fn op() -> impl Strategy<Value = Op> {
    let rect = (-4..WIDTH, -4..HEIGHT, 1..WIDTH, 1..HEIGHT).prop_map(|(x, y, w, h)| [x, y, w, h]);
    let rects = prop::collection::vec(rect, 0..12);
    prop_oneof![
        6 => (0..SURFACES, 0..BUFFERS, rects, any::<bool>()).prop_map(
            |(surface, buffer, rects, in_pixels)| Op::Draw { surface, buffer, rects, in_pixels }
        ),
        1 => (0..SURFACES).prop_map(|surface| Op::Idle { surface }),
        5 => (0..8_usize).prop_map(|which| Op::Release { which }),
        1 => (0..BUFFERS).prop_map(|buffer| Op::Recreate { buffer }),
        1 => (0..SURFACES, 1..3).prop_map(|(surface, scale)| Op::Scale { surface, scale }),
    ]
}

struct World {
    fixture: Fixture,
    pool: Pool,
    buffers: Vec<WlBuffer>,
    surfaces: Vec<(WlSurface, Vec<u8>, i32)>,
    /// What each buffer held by the compositor must go on showing.
    held: Vec<Vec<u8>>,
    colour: u8,
}

impl World {
    fn new() -> Self {
        let mut fixture = Fixture::new();
        let compositor: WlCompositor = fixture.peer().bind();
        let shm: WlShm = fixture.peer().bind();
        let handle = fixture.peer().handle();
        let pool = Pool::new(&shm, (BUFFERS * LEN) as i32, &handle);
        let buffers = (0..BUFFERS)
            .map(|n| pool.buffer((n * LEN) as i32, (WIDTH, HEIGHT), &handle))
            .collect();
        let surface = |_| (compositor.create_surface(&handle, ()), vec![0; LEN], 1);
        let surfaces = (0..SURFACES).map(surface).collect();
        Self {
            fixture,
            pool,
            buffers,
            surfaces,
            held: Vec::new(),
            colour: 0,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Draw {
                surface,
                buffer,
                rects,
                in_pixels,
            } => {
                self.draw(surface, buffer, &rects, in_pixels);
            }
            Op::Idle { surface } => {
                self.surfaces[surface].0.commit();
                self.fixture.settle();
            }
            Op::Release { which } => {
                if !self.held.is_empty() {
                    let which = which % self.held.len();
                    self.held.remove(which);
                    self.fixture.server.held.remove(which).release();
                    self.fixture.settle();
                }
            }
            Op::Recreate { buffer } => {
                let handle = self.fixture.peer().handle();
                self.buffers[buffer].destroy();
                self.buffers[buffer] =
                    self.pool
                        .buffer((buffer * LEN) as i32, (WIDTH, HEIGHT), &handle);
                self.fixture.settle();
            }
            Op::Scale { surface, scale } => {
                let (surface, _, current) = &mut self.surfaces[surface];
                surface.set_buffer_scale(scale);
                *current = scale;
            }
        }
        let held: Vec<_> = self
            .fixture
            .server
            .held
            .iter()
            .map(server::pixels)
            .collect();
        assert_eq!(held, self.held, "a buffer in use changed");
        assert_eq!(self.fixture.peer().error(), None);
    }

    fn draw(&mut self, surface: usize, buffer: usize, rects: &[[i32; 4]], in_pixels: bool) {
        let (surface, picture, scale) = &mut self.surfaces[surface];
        for [x, y, width, height] in rects {
            self.colour = self.colour.wrapping_add(1);
            let factor = if in_pixels { 1 } else { *scale };
            let [left, right] = [x * factor, (x + width) * factor].map(|x| x.clamp(0, WIDTH));
            let [top, bottom] = [y * factor, (y + height) * factor].map(|y| y.clamp(0, HEIGHT));
            for row in top..bottom {
                let [from, to] = [left, right].map(|x| ((row * WIDTH + x) * 4) as usize);
                picture[from..to].fill(self.colour);
            }
            if in_pixels {
                surface.damage_buffer(*x, *y, *width, *height);
            } else {
                surface.damage(*x, *y, *width, *height);
            }
        }
        self.pool.paint((buffer * LEN) as i32, picture);
        surface.attach(Some(&self.buffers[buffer]), 0, 0);
        surface.commit();
        self.fixture.settle();
        let shown = self.fixture.server.held.last().map(server::pixels);
        assert_eq!(shown.as_ref(), Some(&*picture));
        self.held.push(picture.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_commit_shows_what_was_drawn(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        // Everything comes back: no copy is lost.
        world.fixture.server.release_all();
        for buffer in &world.buffers {
            buffer.destroy();
        }
        world.fixture.settle();
        prop_assert_eq!(world.fixture.server.buffers, 0);
    }
}
