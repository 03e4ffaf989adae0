use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use memfd::MemfdOptions;
use proptest::prelude::*;

use super::*;
use crate::shm::file::FileCount;
use crate::shm::memory::{Allocator, MemfdAllocator, SharedMemory};

/// A client's file with a buffer in it, and memory for the copy.
struct Setup {
    writer: File,
    file: PoolFile,
    memory: SharedMemory,
    layout: Layout,
}

impl Setup {
    fn new(layout: Layout, file_len: u64) -> Self {
        let writer = MemfdOptions::new()
            .create("client")
            .expect("a memfd")
            .into_file();
        writer.set_len(file_len).expect("a memfd");
        let fd = writer.try_clone().expect("a descriptor").into();
        let file = PoolFile::new(fd, i32::MAX, &FileCount::default()).expect("a pool");
        let memory = MemfdAllocator
            .allocate(layout.len() as usize)
            .expect("memory");
        Self {
            writer,
            file,
            memory,
            layout,
        }
    }

    fn paint(&self, seed: u8) -> Vec<u8> {
        let len = self.layout.len() as usize;
        let pixels: Vec<u8> = (0..len)
            .map(|at| (at as u8).wrapping_mul(7) ^ seed)
            .collect();
        self.writer
            .write_all_at(&pixels, self.layout.offset as u64)
            .expect("a memfd");
        pixels
    }

    fn update(&self, damage: &Damage) -> Result<u64, ReadError> {
        update(&self.memory.map, 0, &self.file, &self.layout, damage)
    }

    fn copied(&self) -> Vec<u8> {
        let file = File::from(
            self.memory
                .as_fd()
                .try_clone_to_owned()
                .expect("a descriptor"),
        );
        let mut pixels = vec![0; self.layout.len() as usize];
        file.read_exact_at(&mut pixels, 0).expect("memory");
        pixels
    }
}

fn layout(width: i32, height: i32, padding: i32) -> Layout {
    let stride = width * 4 + padding;
    Layout {
        offset: 100,
        width,
        height,
        stride,
        format: 1,
        bytes_per_pixel: 4,
    }
}

fn damage(rects: &[(i32, i32, i32, i32)]) -> Damage {
    let mut damage = Damage::default();
    for (x, y, width, height) in rects {
        damage.add(Rect::from_size(*x, *y, *width, *height).expect("not empty"));
    }
    damage
}

#[test]
fn everything_is_copied_at_first() {
    let setup = Setup::new(layout(33, 7, 12), 10_000);
    let pixels = setup.paint(1);
    setup.update(&Damage::whole()).expect("a copy");
    let last_pixel = setup.copied().len() - 12;
    assert_eq!(setup.copied()[..last_pixel], pixels[..last_pixel]);
}

#[test]
fn a_narrow_rectangle_of_a_wide_buffer_is_copied_row_by_row() {
    let setup = Setup::new(layout(4000, 50, 0), 1_000_000);
    let old = setup.paint(1);
    setup.update(&Damage::whole()).expect("a copy");
    let new = setup.paint(2);
    let cost = setup.update(&damage(&[(10, 5, 20, 3)])).expect("a copy");
    assert_eq!(cost, 3 * (80 + CALL_COST));
    let copied = setup.copied();
    for y in 0..50 {
        for x in 0..4000 {
            let at = (y * 4000 + x) * 4;
            let inside = (10..30).contains(&x) && (5..8).contains(&y);
            let wanted = if inside { &new } else { &old };
            assert_eq!(copied[at..at + 4], wanted[at..at + 4], "{x} {y}");
        }
    }
}

#[test]
fn many_overlapping_rectangles_cost_no_more_than_the_buffer() {
    let setup = Setup::new(layout(100, 100, 0), 100_000);
    setup.paint(1);
    let whole = setup.update(&Damage::whole()).expect("a copy");
    let pixels = setup.paint(2);
    let cost = setup
        .update(&damage(&[(0, 0, 100, 100); 8]))
        .expect("a copy");
    assert_eq!(cost, whole);
    assert_eq!(setup.copied(), pixels);
}

#[test]
fn damage_outside_the_buffer_copies_nothing() {
    let setup = Setup::new(layout(10, 10, 0), 10_000);
    setup.paint(1);
    let outside = damage(&[(10, 0, 5, 5), (-5, -5, 5, 5), (0, i32::MAX - 1, 1, 1)]);
    assert_eq!(setup.update(&outside).expect("nothing to do"), 0);
}

#[test]
fn a_file_that_ends_early_is_an_error_unless_its_last_page_reaches_further() {
    let setup = Setup::new(layout(64, 64, 0), 100 + 64 * 64 * 4);
    setup.paint(1);
    // 16,484 bytes needed; the page that holds byte 16,384 ends at 20,480.
    setup.writer.set_len(16_385).expect("a memfd");
    setup
        .update(&Damage::whole())
        .expect("the rest of a page reads as zeros");
    assert_eq!(setup.copied()[16_385 - 100..], [0; 99]);
    setup.writer.set_len(16_384).expect("a memfd");
    assert!(matches!(
        setup.update(&Damage::whole()),
        Err(ReadError::Truncated)
    ));
    setup.writer.set_len(0).expect("a memfd");
    assert!(matches!(
        setup.update(&Damage::whole()),
        Err(ReadError::Truncated)
    ));
}

proptest! {
    #[test]
    fn what_is_damaged_is_copied(
        width in 1..1500_i32,
        height in 1..40_i32,
        rects in prop::collection::vec((-20..1600_i32, -5..45_i32, 1..900_i32, 1..30_i32), 0..6),
    ) {
        let setup = Setup::new(layout(width, height, 0), 400_000);
        setup.paint(1);
        setup.update(&Damage::whole()).expect("a copy");
        let new = setup.paint(0x5a);
        setup.update(&damage(&rects)).expect("a copy");
        let copied = setup.copied();
        for (x, y, w, h) in rects {
            let Some(rect) = Rect::from_size(x, y, w, h).and_then(|r| r.clipped(width, height))
            else { continue };
            for y in rect.top..rect.bottom {
                let [from, to] = [rect.left, rect.right].map(|x| ((y * width + x) * 4) as usize);
                prop_assert_eq!(&copied[from..to], &new[from..to]);
            }
        }
    }
}

/// Not a test: prints what the choice of `pread` rests on.
#[test]
#[ignore = "prints timings"]
fn copy_speed() {
    let setup = Setup::new(
        Layout {
            offset: 0,
            width: 1920,
            height: 1080,
            stride: 7680,
            format: 1,
            bytes_per_pixel: 4,
        },
        1920 * 1080 * 4,
    );
    setup.paint(1);
    let len = setup.layout.len() as usize;
    let rounds = 200;
    let time = |name: &str, mut act: Box<dyn FnMut() + '_>| {
        act();
        let start = Instant::now();
        for _ in 0..rounds {
            act();
        }
        let each = start.elapsed() / rounds;
        let speed = len as f64 / each.as_secs_f64() / 1e9;
        let mut out = std::io::stdout().lock();
        let _ = std::io::Write::write_fmt(
            &mut out,
            format_args!("{name}: {each:?} for 1920x1080, {speed:.1} GB/s\n"),
        );
    };
    time("pread", Box::new(|| drop(setup.update(&Damage::whole()))));
    let source = Mapping::readable(&setup.file, len).expect("a mapping");
    time(
        "memcpy, mapped for good",
        Box::new(|| setup.memory.map.copy_from(&source, len)),
    );
    time(
        "memcpy, mapped for each frame",
        Box::new(|| {
            let source = Mapping::readable(&setup.file, len).expect("a mapping");
            setup.memory.map.copy_from(&source, len);
        }),
    );
}
