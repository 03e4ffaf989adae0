//! What clients draw is what the screen shows: buffers, damage, crops, trees.

use std::os::unix::fs::FileExt;

use wayland_client::Proxy;
use wayland_client::protocol::{wl_output, wl_shm, wl_surface};

use super::client::{Window, pixels};
use super::fixture::{ClientId, Fixture, assert_pixels, pixel};
use super::windows::pattern;
use crate::core::{Rect, Size};
use crate::frame::Rgb;

const RED: u32 = 0x00ff_0000;
const GREEN: u32 = 0x0000_ff00;
const BLUE: u32 = 0x0000_00ff;
const GREY: u32 = 0x0077_7777;

/// A quarter of each colour: red and green above, blue and grey below.
fn quarters(w: i32, h: i32) -> impl Fn(i32, i32) -> u32 {
    move |x, y| match (x < w / 2, y < h / 2) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => GREY,
    }
}

/// Colours near the four corners of the content, row by row.
#[track_caller]
fn corners(fixture: &mut Fixture, title: &str) -> [u32; 4] {
    let content = fixture.find(title).expect("window").content;
    let screen = fixture.frame();
    let (w, h) = (content.w / 8, content.h / 8);
    let (left, right) = (content.x + w, content.right() - 1 - w);
    let (top, bottom) = (content.y + h, content.bottom() - 1 - h);
    [(left, top), (right, top), (left, bottom), (right, bottom)]
        .map(|(x, y)| pixel(&screen, x, y).pixel() & 0x00ff_ffff)
}

fn one_window(size: (i32, i32)) -> (Fixture, ClientId, Window) {
    let mut fixture = Fixture::new(&["personal"]);
    let client = fixture.connect("personal");
    let window = fixture.window(client, "w", size, 1);
    (fixture, client, window)
}

#[test]
fn partial_damage_updates_exactly_the_damage() {
    let (w, h) = (400, 300);
    let (mut fixture, id, window) = one_window((w, h));
    let mut model: Vec<u32> = (0..h)
        .flat_map(|y| (0..w).map(move |x| pattern(9)(x, y)))
        .collect();
    let client = fixture.client(id);
    let (file, pool) = client.pool(i64::from(w * h * 4), &pixels(w, h, pattern(9)));
    let buffer = pool.create_buffer(
        0,
        w,
        h,
        w * 4,
        wl_shm::Format::Xrgb8888,
        &client.handle(),
        (),
    );
    window.surface.attach(Some(&buffer), 0, 0);
    window.surface.damage_buffer(0, 0, w, h);
    window.surface.commit();

    let mut seed = 1_u32;
    let mut random = |below: i32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i32::try_from(seed >> 16).unwrap() % below
    };
    for round in 0..60 {
        fixture.until("the buffer back", |fixture| {
            let released = &mut fixture.client(id).state.released;
            let at = released
                .iter()
                .position(|released| *released == buffer.id())?;
            released.remove(at);
            Some(())
        });
        window.surface.attach(Some(&buffer), 0, 0);
        for _ in 0..=random(3) {
            let (x, y) = (random(w), random(h));
            let (rw, rh) = (1 + random(w - x), 1 + random(h - y));
            let colour = u32::try_from(random(i32::MAX)).unwrap() & 0x00ff_ffff;
            for row in y..y + rh {
                let at = (row * w + x) as usize;
                model[at..at + rw as usize].fill(colour);
                let bytes = pixels(rw, 1, |_, _| colour);
                file.write_all_at(&bytes, at as u64 * 4).unwrap();
            }
            if round % 2 == 0 {
                window.surface.damage_buffer(x, y, rw, rh);
            } else {
                window.surface.damage(x, y, rw, rh);
            }
        }
        window.surface.commit();
        fixture.roundtrip(id);
        let content = fixture.find("w").unwrap().content;
        let expected = |x, y| model[(y * w + x) as usize];
        assert_pixels(
            &fixture.frame(),
            content,
            &format!("round {round}"),
            expected,
        );
    }
}

#[test]
fn a_buffer_may_be_written_again_once_it_is_released() {
    let (mut fixture, id, window) = one_window((64, 64));
    let client = fixture.client(id);
    let (file, pool) = client.pool(64 * 64 * 4, &pixels(64, 64, pattern(2)));
    let buffer = pool.create_buffer(
        0,
        64,
        64,
        64 * 4,
        wl_shm::Format::Xrgb8888,
        &client.handle(),
        (),
    );
    window.surface.attach(Some(&buffer), 0, 0);
    window.surface.damage_buffer(0, 0, 64, 64);
    window.surface.commit();
    fixture.until("the buffer back", |fixture| {
        fixture
            .client(id)
            .state
            .released
            .contains(&buffer.id())
            .then_some(())
    });
    // Not committed, so not to be seen.
    file.write_all_at(&pixels(64, 64, |_, _| RED), 0).unwrap();
    let content = fixture.find("w").unwrap().content;
    assert_pixels(&fixture.frame(), content, "committed", pattern(2));
}

#[test]
fn a_pool_that_grows_keeps_its_buffers() {
    let (mut fixture, id, window) = one_window((100, 50));
    let client = fixture.client(id);
    let small = pixels(100, 50, pattern(3));
    let (file, pool) = client.pool(small.len() as i64, &small);
    let format = wl_shm::Format::Xrgb8888;
    let first = pool.create_buffer(0, 100, 50, 400, format, &client.handle(), ());
    let large = pixels(300, 200, pattern(4));
    file.set_len((small.len() + large.len()) as u64).unwrap();
    file.write_all_at(&large, small.len() as u64).unwrap();
    pool.resize((small.len() + large.len()) as i32);
    let second = pool.create_buffer(
        small.len() as i32,
        300,
        200,
        1200,
        format,
        &client.handle(),
        (),
    );
    for (buffer, size, seed) in [
        (&first, (100, 50), 3),
        (&second, (300, 200), 4),
        (&first, (100, 50), 3),
    ] {
        window.surface.attach(Some(buffer), 0, 0);
        window.surface.damage_buffer(0, 0, size.0, size.1);
        window.surface.commit();
        fixture.roundtrip(id);
        let content = fixture.find("w").unwrap().content;
        assert_eq!(content.size(), Size::new(size.0, size.1));
        assert_pixels(&fixture.frame(), content, "content", pattern(seed));
    }
}

#[test]
fn offset_and_stride_are_respected() {
    let (mut fixture, id, window) = one_window((60, 40));
    let client = fixture.client(id);
    // A 60×40 part out of a picture of 100×100, from (30, 20) on.
    let (_file, pool) = client.pool(100 * 100 * 4, &pixels(100, 100, pattern(5)));
    let offset = (20 * 100 + 30) * 4;
    let buffer = pool.create_buffer(
        offset,
        60,
        40,
        400,
        wl_shm::Format::Xrgb8888,
        &client.handle(),
        (),
    );
    window.surface.attach(Some(&buffer), 0, 0);
    window.surface.damage_buffer(0, 0, 60, 40);
    window.surface.commit();
    fixture.roundtrip(id);
    let content = fixture.find("w").unwrap().content;
    assert_pixels(&fixture.frame(), content, "part", |x, y| {
        pattern(5)(x + 30, y + 20)
    });
}

/// Commits a picture of quarters with whatever state was set before.
fn show_quarters(
    fixture: &mut Fixture,
    id: ClientId,
    surface: &wl_surface::WlSurface,
    (w, h): (i32, i32),
) {
    let buffer = fixture.client(id).buffer(w, h, quarters(w, h));
    surface.attach(Some(&buffer), 0, 0);
    surface.damage_buffer(0, 0, w, h);
    surface.commit();
    fixture.roundtrip(id);
}

#[test]
fn a_viewport_crops_and_scales() {
    let (mut fixture, id, window) = one_window((80, 80));
    let client = fixture.client(id);
    let viewport = client
        .bound()
        .viewporter
        .get_viewport(&window.surface, &client.handle(), ());
    viewport.set_destination(200, 120);
    show_quarters(&mut fixture, id, &window.surface, (80, 80));
    assert_eq!(
        fixture.find("w").unwrap().content.size(),
        Size::new(200, 120)
    );
    assert_eq!(corners(&mut fixture, "w"), [RED, GREEN, BLUE, GREY]);

    viewport.set_source(40.0, 0.0, 40.0, 80.0);
    show_quarters(&mut fixture, id, &window.surface, (80, 80));
    assert_eq!(
        fixture.find("w").unwrap().content.size(),
        Size::new(200, 120)
    );
    assert_eq!(corners(&mut fixture, "w"), [GREEN, GREEN, GREY, GREY]);

    viewport.destroy();
    show_quarters(&mut fixture, id, &window.surface, (80, 80));
    assert_eq!(fixture.find("w").unwrap().content.size(), Size::new(80, 80));
    assert_eq!(corners(&mut fixture, "w"), [RED, GREEN, BLUE, GREY]);
}

#[test]
fn buffer_scale_makes_the_window_smaller() {
    let (mut fixture, id, window) = one_window((100, 100));
    window.surface.set_buffer_scale(2);
    show_quarters(&mut fixture, id, &window.surface, (200, 160));
    assert_eq!(
        fixture.find("w").unwrap().content.size(),
        Size::new(100, 80)
    );
    assert_eq!(corners(&mut fixture, "w"), [RED, GREEN, BLUE, GREY]);
}

#[test]
fn transforms_turn_the_picture() {
    let (mut fixture, id, window) = one_window((120, 60));
    for (transform, expected) in [
        (wl_output::Transform::Normal, [RED, GREEN, BLUE, GREY]),
        (wl_output::Transform::_90, [BLUE, RED, GREY, GREEN]),
        (wl_output::Transform::_180, [GREY, BLUE, GREEN, RED]),
        (wl_output::Transform::_270, [GREEN, GREY, RED, BLUE]),
        (wl_output::Transform::Flipped, [GREEN, RED, GREY, BLUE]),
    ] {
        window.surface.set_buffer_transform(transform);
        show_quarters(&mut fixture, id, &window.surface, (120, 60));
        let turned = matches!(
            transform,
            wl_output::Transform::_90 | wl_output::Transform::_270
        );
        let size = if turned {
            Size::new(60, 120)
        } else {
            Size::new(120, 60)
        };
        assert_eq!(
            fixture.find("w").unwrap().content.size(),
            size,
            "{transform:?}"
        );
        assert_eq!(corners(&mut fixture, "w"), expected, "{transform:?}");
    }
}

#[test]
fn subsurfaces_are_drawn_in_place_and_in_order() {
    let (mut fixture, id, window) = one_window((200, 200));
    let client = fixture.client(id);
    let (bound, handle) = (client.bound(), client.handle());
    let mut children = Vec::new();
    for (x, y, colour) in [(10, 20, RED), (30, 40, GREEN)] {
        let surface = bound.compositor.create_surface(&handle, ());
        let subsurface = bound
            .subcompositor
            .get_subsurface(&surface, &window.surface, &handle, ());
        subsurface.set_position(x, y);
        let buffer = client.buffer(50, 50, |_, _| colour);
        surface.attach(Some(&buffer), 0, 0);
        surface.damage_buffer(0, 0, 50, 50);
        surface.commit();
        children.push((surface, subsurface));
    }
    fixture.roundtrip(id);
    let content = fixture.find("w").unwrap().content;
    // Synchronised children wait for their parent.
    assert_pixels(&fixture.frame(), content, "before", pattern(1));
    window.surface.commit();
    fixture.roundtrip(id);
    let inside = |x: i32, y: i32, left: i32, top: i32| {
        (left..left + 50).contains(&x) && (top..top + 50).contains(&y)
    };
    let expected = |green_first: bool| {
        move |x, y| {
            let (red, green) = (inside(x, y, 10, 20), inside(x, y, 30, 40));
            match (red, green) {
                (true, true) if green_first => GREEN,
                (true, _) => RED,
                (false, true) => GREEN,
                (false, false) => pattern(1)(x, y),
            }
        }
    };
    assert_pixels(&fixture.frame(), content, "stacked", expected(true));
    children[0].1.place_above(&children[1].0);
    window.surface.commit();
    fixture.roundtrip(id);
    assert_pixels(&fixture.frame(), content, "restacked", expected(false));
}

#[test]
fn window_geometry_cuts_shadows_off() {
    let (mut fixture, id, window) = one_window((200, 160));
    window.xdg.set_window_geometry(20, 10, 120, 100);
    fixture.draw(id, &window, (200, 160), 7);
    let info = fixture.find("w").unwrap();
    assert_eq!(info.content.size(), Size::new(120, 100));
    let screen = fixture.frame();
    assert_pixels(&screen, info.content, "content", |x, y| {
        pattern(7)(x + 20, y + 10)
    });
    let border = Rect::new(info.frame.x, info.content.y, 4, info.content.h);
    let colour = info.colour;
    assert_pixels(&screen, border, "border", |_, _| Rgb::from(colour).pixel());
}

#[test]
fn nothing_of_a_client_leaves_its_frame() {
    let (mut fixture, id, window) = one_window((100, 100));
    window.xdg.set_window_geometry(0, 0, 100, 100);
    let outside = fixture.find("w").unwrap().frame;
    let before = fixture.frame();
    let client = fixture.client(id);
    let (bound, handle) = (client.bound(), client.handle());
    for (x, y) in [(-300, -300), (50, 50), (-20, 60), (80, -90)] {
        let surface = bound.compositor.create_surface(&handle, ());
        let subsurface = bound
            .subcompositor
            .get_subsurface(&surface, &window.surface, &handle, ());
        subsurface.set_position(x, y);
        let buffer = client.buffer(400, 400, |_, _| RED);
        surface.attach(Some(&buffer), 0, 0);
        surface.damage_buffer(0, 0, 400, 400);
        surface.commit();
    }
    fixture.draw(id, &window, (100, 100), 8);
    let after = fixture.frame();
    let info = fixture.find("w").unwrap();
    assert_eq!(
        info.frame, outside,
        "subsurfaces do not make the window larger than it says"
    );
    for y in 0..after.size.h {
        for x in 0..after.size.w {
            let inside = info.content.contains(crate::core::Point::new(x, y));
            assert!(
                inside || pixel(&before, x, y) == pixel(&after, x, y),
                "{x},{y} changed"
            );
        }
    }
}

#[test]
fn equal_objects_of_two_vms_are_drawn_apart() {
    // The same program in both VMs: all object numbers and commit counters are equal.
    let mut fixture = Fixture::new(&["personal", "work"]);
    let mut clients = Vec::new();
    for (vm, title) in [("personal", "a"), ("work", "b")] {
        let id = fixture.connect(vm);
        let window = fixture.window(id, title, (150, 120), 1);
        clients.push((id, window, title));
    }
    assert_eq!(
        clients[0].1.surface.id().protocol_id(),
        clients[1].1.surface.id().protocol_id()
    );
    let mut shown = [1, 1];
    for round in 0..40_u32 {
        // Mostly one, sometimes the other, sometimes both: the counters
        // agree now and then, which is when one picture would hide the other.
        for which in [0, 1] {
            if round % 5 == which || round % 7 == 0 || (which == 0 && round % 2 == 0) {
                let seed = 2 + round * 2 + which;
                let (id, window, _) = &clients[which as usize];
                fixture.draw(*id, window, (150, 120), seed);
                shown[which as usize] = seed;
            }
        }
        let screen = fixture.frame();
        for (which, (_, _, title)) in clients.iter().enumerate() {
            let content = fixture.find(title).unwrap().content;
            assert_pixels(
                &screen,
                content,
                &format!("{title} in round {round}"),
                pattern(shown[which]),
            );
        }
    }
}
