//! Shared memory: what the compositor can read at each commit, and when the
//! client gets its buffers back.

use wayland_client::Proxy;
use wayland_client::protocol::{
    wl_compositor::WlCompositor, wl_shm::WlShm, wl_subcompositor::WlSubcompositor,
    wl_surface::WlSurface,
};

use crate::fixture::Fixture;
use crate::painter::{Pool, pattern};
use crate::server;

const SIZE: (i32, i32) = (16, 8);
const LEN: usize = 16 * 8 * 4;

struct Stage {
    fixture: Fixture,
    surface: WlSurface,
    shm: WlShm,
}

impl Stage {
    fn new() -> Self {
        let mut fixture = Fixture::new();
        let compositor: WlCompositor = fixture.peer().bind();
        let shm = fixture.peer().bind();
        let surface = compositor.create_surface(&fixture.peer().handle(), ());
        Self {
            fixture,
            surface,
            shm,
        }
    }

    fn pool(&mut self, size: i32) -> Pool {
        Pool::new(&self.shm, size, &self.fixture.peer().handle())
    }

    fn buffer(
        &mut self,
        pool: &Pool,
        offset: i32,
    ) -> wayland_client::protocol::wl_buffer::WlBuffer {
        pool.buffer(offset, SIZE, &self.fixture.peer().handle())
    }

    /// The pixels of the last commit as they are now.
    fn shown(&self) -> Vec<u8> {
        let commit = self.fixture.server.commits.last().expect("a commit");
        let buffer = commit
            .buffer
            .as_ref()
            .expect("an attach")
            .as_ref()
            .expect("a buffer");
        server::pixels(buffer)
    }

    fn released(&mut self) -> Vec<u32> {
        self.fixture.settle();
        std::mem::take(&mut self.fixture.peer().state.released)
    }
}

#[test]
fn formats_that_cannot_be_copied_are_hidden() {
    let mut stage = Stage::new();
    stage.fixture.settle();
    let formats = &stage.fixture.peer().state.formats;
    assert_eq!(formats[..2], [0, 1]);
    assert_eq!(formats.len(), 3, "NV12 is missing");
}

#[test]
fn a_committed_buffer_arrives_and_comes_back_when_the_compositor_is_done() {
    let mut stage = Stage::new();
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(1, LEN));
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
    stage.surface.commit();
    assert!(stage.released().is_empty());
    assert_eq!(stage.fixture.server.commits[0].pixels, pattern(1, LEN));

    stage.fixture.server.release_all();
    assert_eq!(stage.released(), [buffer.id().protocol_id()]);
}

#[test]
fn only_what_is_damaged_is_copied() {
    let mut stage = Stage::new();
    stage.fixture.server.release_at_once = true;
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(1, LEN));
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.damage_buffer(0, 0, 16, 8);
    stage.surface.commit();
    stage.fixture.settle();

    pool.paint(0, &pattern(2, LEN));
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.damage_buffer(3, 2, 4, 3);
    stage.surface.commit();
    stage.fixture.settle();

    let row = 16 * 4;
    let shown = stage.shown();
    assert_eq!(
        shown[..2 * row],
        pattern(1, LEN)[..2 * row],
        "above the damage"
    );
    assert_eq!(
        shown[5 * row..],
        pattern(1, LEN)[5 * row..],
        "below the damage"
    );
    let first = 2 * row + 3 * 4;
    assert_eq!(
        shown[first..][..16],
        pattern(2, LEN)[first..][..16],
        "damaged"
    );
}

#[test]
fn two_buffers_in_turn_get_the_damage_of_both_commits() {
    let mut stage = Stage::new();
    stage.fixture.server.release_at_once = true;
    let pool = stage.pool(2 * LEN as i32);
    let buffers = [stage.buffer(&pool, 0), stage.buffer(&pool, LEN as i32)];
    let mut picture = pattern(1, LEN);
    for frame in 0..24_u8 {
        let which = usize::from(frame % 2);
        // Every frame changes one row of the picture; the client brings its
        // buffer fully up to date, and says only what changed on the surface.
        let row = usize::from(frame % 8);
        picture[row * 64..][..64].fill(frame);
        pool.paint(which as i32 * LEN as i32, &picture);
        stage.surface.attach(Some(&buffers[which]), 0, 0);
        if frame % 3 == 0 {
            stage.surface.damage(0, row as i32, 16, 1);
        } else {
            stage.surface.damage_buffer(0, row as i32, 16, 1);
        }
        stage.surface.commit();
        stage.fixture.settle();
        assert_eq!(stage.shown(), picture, "frame {frame}");
    }
    assert_eq!(stage.fixture.server.buffers, 2, "one copy of each buffer");
}

#[test]
fn damage_of_a_scaled_or_turned_surface_is_in_other_units() {
    let mut stage = Stage::new();
    stage.fixture.server.release_at_once = true;
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    let mut seed = 0;
    let mut show = |stage: &mut Stage, damage: [i32; 4]| {
        seed += 1;
        pool.paint(0, &pattern(seed, LEN));
        stage.surface.attach(Some(&buffer), 0, 0);
        let [x, y, width, height] = damage;
        stage.surface.damage(x, y, width, height);
        stage.surface.commit();
        stage.fixture.settle();
        (stage.shown(), pattern(seed, LEN))
    };
    show(&mut stage, [0, 0, 16, 8]);

    stage.surface.set_buffer_scale(2);
    let (shown, drawn) = show(&mut stage, [0, 0, 1, 1]);
    assert_eq!(shown, drawn, "a change of scale: all is copied");
    let (shown, drawn) = show(&mut stage, [0, 1, 8, 1]);
    assert_eq!(shown[2 * 64..4 * 64], drawn[2 * 64..4 * 64], "rows 2 and 3");
    assert_ne!(shown[4 * 64..], drawn[4 * 64..], "no others");

    stage
        .surface
        .set_buffer_transform(wayland_client::protocol::wl_output::Transform::_90);
    let (shown, drawn) = show(&mut stage, [0, 0, 1, 1]);
    assert_eq!(shown, drawn);
    let (shown, drawn) = show(&mut stage, [1, 1, 1, 1]);
    assert_eq!(shown, drawn, "not worked out for turned surfaces");
}

#[test]
fn a_buffer_in_use_is_never_overwritten() {
    let mut stage = Stage::new();
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    for seed in 1..=3 {
        pool.paint(0, &pattern(seed, LEN));
        stage.surface.attach(Some(&buffer), 0, 0);
        stage.surface.damage_buffer(0, 0, 16, 8);
        stage.surface.commit();
        stage.fixture.settle();
    }
    let held: Vec<_> = stage
        .fixture
        .server
        .held
        .iter()
        .map(server::pixels)
        .collect();
    assert_eq!(held, [pattern(1, LEN), pattern(2, LEN), pattern(3, LEN)]);

    // The client gets its one buffer back when none of the three is in use.
    stage.fixture.server.held.remove(0).release();
    assert!(stage.released().is_empty());
    stage.fixture.server.release_all();
    assert_eq!(stage.released(), [buffer.id().protocol_id()]);

    // The copies are used again.
    for seed in 4..=6 {
        pool.paint(0, &pattern(seed, LEN));
        stage.surface.attach(Some(&buffer), 0, 0);
        stage.surface.damage_buffer(0, 0, 16, 8);
        stage.surface.commit();
        stage.fixture.settle();
        assert_eq!(stage.shown(), pattern(seed, LEN));
    }
    assert_eq!(stage.fixture.server.buffers, 3);
}

#[test]
fn one_buffer_on_two_surfaces_is_released_once() {
    let mut stage = Stage::new();
    let compositor: WlCompositor = stage.fixture.peer().bind();
    let other = compositor.create_surface(&stage.fixture.peer().handle(), ());
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(7, LEN));
    for surface in [&stage.surface, &other] {
        surface.attach(Some(&buffer), 0, 0);
        surface.commit();
    }
    stage.fixture.settle();
    assert_eq!(stage.fixture.server.commits[0].pixels, pattern(7, LEN));
    assert_eq!(stage.fixture.server.commits[1].pixels, pattern(7, LEN));
    stage.fixture.server.held.pop().expect("two").release();
    assert!(stage.released().is_empty());
    stage.fixture.server.release_all();
    assert_eq!(stage.released(), [buffer.id().protocol_id()]);
}

#[test]
fn a_destroyed_buffer_stays_on_the_screen() {
    let mut stage = Stage::new();
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(1, LEN));
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.commit();
    stage.fixture.settle();
    buffer.destroy();
    pool.pool.destroy();

    // Another buffer must not get that memory while it is shown.
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(2, LEN));
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.commit();
    stage.fixture.settle();
    let held: Vec<_> = stage
        .fixture
        .server
        .held
        .iter()
        .map(server::pixels)
        .collect();
    assert_eq!(held, [pattern(1, LEN), pattern(2, LEN)]);

    stage.fixture.server.release_all();
    assert_eq!(
        stage.released(),
        [buffer.id().protocol_id()],
        "of the living one only"
    );
    assert_eq!(stage.fixture.server.buffers, 1);
    assert_eq!(
        stage.fixture.server.pools.len(),
        1,
        "small buffers share memory"
    );
}

#[test]
fn a_pool_can_grow_and_be_destroyed_before_its_buffers() {
    let mut stage = Stage::new();
    let pool = stage.pool(LEN as i32);
    let first = stage.buffer(&pool, 0);
    pool.file.set_len(4 * LEN as u64).expect("a memfd");
    pool.pool.resize(4 * LEN as i32);
    let last = stage.buffer(&pool, 3 * LEN as i32);
    pool.pool.destroy();
    for (seed, offset, buffer) in [(1, 0, &first), (2, 3 * LEN, &last)] {
        pool.paint(offset as i32, &pattern(seed, LEN));
        stage.surface.attach(Some(buffer), 0, 0);
        stage.surface.commit();
        stage.fixture.settle();
        assert_eq!(stage.shown(), pattern(seed, LEN));
    }
    assert_eq!(stage.fixture.peer().error(), None);
}

#[test]
fn taking_the_content_away_and_commits_without_a_buffer_pass() {
    let mut stage = Stage::new();
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    stage.surface.attach(Some(&buffer), 0, 0);
    stage.surface.commit();
    stage.surface.commit();
    stage.surface.attach(None, 0, 0);
    stage.surface.commit();
    // Destroyed in between: counts as none.
    stage.surface.attach(Some(&buffer), 0, 0);
    buffer.destroy();
    stage.surface.commit();
    stage.fixture.settle();
    let buffers: Vec<_> = stage
        .fixture
        .server
        .commits
        .iter()
        .map(|c| c.buffer.clone())
        .collect();
    assert!(matches!(buffers[0], Some(Some(_))));
    assert_eq!(buffers[1..], [None, Some(None), Some(None)]);
}

#[test]
fn a_synchronised_subsurface_shows_what_was_committed_to_it() {
    let mut stage = Stage::new();
    let compositor: WlCompositor = stage.fixture.peer().bind();
    let subcompositor: WlSubcompositor = stage.fixture.peer().bind();
    let handle = stage.fixture.peer().handle();
    let child = compositor.create_surface(&handle, ());
    let sub = subcompositor.get_subsurface(&child, &stage.surface, &handle, ());
    sub.set_sync();
    let pool = stage.pool(LEN as i32);
    let buffer = stage.buffer(&pool, 0);
    pool.paint(0, &pattern(1, LEN));
    child.attach(Some(&buffer), 0, 0);
    child.commit();
    stage.fixture.settle();
    // The client broke the rule and drew into a buffer in use: the parent's
    // commit must not make that visible.
    pool.paint(0, &pattern(2, LEN));
    stage.surface.commit();
    stage.fixture.settle();
    let held: Vec<_> = stage
        .fixture
        .server
        .held
        .iter()
        .map(server::pixels)
        .collect();
    assert_eq!(held, [pattern(1, LEN)]);
}

#[test]
fn an_unused_buffer_costs_the_host_nothing() {
    let mut stage = Stage::new();
    let pool = stage.pool(1 << 20);
    for offset in 0..64 {
        let _buffer = stage.buffer(&pool, offset * LEN as i32);
    }
    stage.fixture.settle();
    assert_eq!(stage.fixture.server.buffers, 0);
    assert!(stage.fixture.server.pools.is_empty());
}

#[test]
fn a_window_being_resized_does_not_pile_up_memory() {
    let mut stage = Stage::new();
    stage.fixture.server.release_at_once = true;
    let pool = stage.pool(1 << 26);
    for step in 0..60 {
        let size = (640 + 4 * step, 480 + 3 * step);
        let buffer = pool.buffer(0, size, &stage.fixture.peer().handle());
        stage.surface.attach(Some(&buffer), 0, 0);
        stage.surface.commit();
        stage.fixture.turn();
        stage.fixture.turn();
        buffer.destroy();
    }
    stage.fixture.settle();
    assert_eq!(stage.fixture.server.buffers, 0);
    let total: i64 = stage
        .fixture
        .server
        .pools
        .iter()
        .map(|size| i64::from(*size))
        .sum();
    assert!(
        stage.fixture.server.pools.len() < 60,
        "memory is used again"
    );
    assert!(total < 200 << 20, "{total}");
    assert_eq!(stage.fixture.peer().error(), None);
}
