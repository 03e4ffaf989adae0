//! Pixels of frames, compared with pictures that were looked at.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use super::geometry::{BORDER, LABEL_PADDING, TITLE_BAR};
use super::painter::MAX_BAR_WIDTH;
use super::{BarSpec, Bitmap, FrameLayout, Painter, Rgb, title};
use crate::core::{Point, Size};
use crate::screenshot::{Picture, write_png};

const RED: Rgb = Rgb::from_u32(0x00cc_2222);
const YELLOW: Rgb = Rgb::from_u32(0x00f0_d030);

/// Rounding of glyph coverage may differ by this much between builds.
const TOLERANCE: u8 = 3;

fn spec(name: &str, colour: Rgb, width: i32) -> BarSpec {
    BarSpec {
        name: name.into(),
        colour,
        title: String::new(),
        focused: true,
        width,
        scale: 1,
    }
}

/// Compares with `src/frame/tests/<name>.png`; `UPDATE_GOLDEN=1` writes it.
#[track_caller]
fn golden(bitmap: &Bitmap, name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/frame/tests")
        .join(format!("{name}.png"));
    let size = bitmap.size();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let picture = Picture {
            width: size.w as u32,
            height: size.h as u32,
            pixels: bitmap.pixels().to_vec(),
        };
        write_png(&picture, File::create(&path).unwrap()).unwrap();
    }
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(
        (info.width as i32, info.height as i32),
        (size.w, size.h),
        "size of {name}"
    );
    for (at, (want, got)) in bytes.chunks_exact(3).zip(bitmap.pixels()).enumerate() {
        let [_, r, g, b] = got.to_be_bytes();
        let near = want
            .iter()
            .zip([r, g, b])
            .all(|(a, b)| a.abs_diff(b) <= TOLERANCE);
        let (x, y) = (at % size.w as usize, at / size.w as usize);
        assert!(
            near,
            "{name}: pixel {x},{y} is {got:08x}, expected {want:02x?}"
        );
    }
}

/// Pixels of the label that are neither ground nor border.
fn inked(bar: &Bitmap, colour: Rgb, x: std::ops::Range<i32>) -> usize {
    let rows = BORDER..BORDER + TITLE_BAR;
    rows.flat_map(|y| x.clone().map(move |x| (x, y)))
        .filter(|&(x, y)| bar.get(x, y) != Some(colour))
        .count()
}

#[test]
fn bars_look_as_reviewed() {
    let mut painter = Painter::new();
    let cases = [
        (
            "focused",
            BarSpec {
                title: "~/src: make check".into(),
                ..spec("personal", RED, 420)
            },
        ),
        (
            "unfocused",
            BarSpec {
                title: "Editor - notes.txt".into(),
                focused: false,
                ..spec("work", YELLOW, 420)
            },
        ),
        (
            "narrow",
            BarSpec {
                title: "no room for this".into(),
                ..spec("vault-offline.01", RED, 190)
            },
        ),
        (
            "long_title",
            BarSpec {
                title: "An extraordinarily long title that cannot fit".into(),
                ..spec("a", YELLOW, 260)
            },
        ),
        (
            "scale2",
            BarSpec {
                title: "Łódź – Кириллица – é".into(),
                scale: 2,
                ..spec("Il1O0", RED, 300)
            },
        ),
    ];
    for (name, spec) in cases {
        golden(&painter.bar(&spec), name);
    }
}

#[test]
fn every_colour_gets_readable_text() {
    for r in (0..=255).step_by(17) {
        for g in (0..=255).step_by(17) {
            for b in (0..=255).step_by(17) {
                let colour = Rgb { r, g, b };
                let contrast = colour.contrast(colour.text());
                assert!(contrast >= 4.5, "{colour:?} has only {contrast}:1");
            }
        }
    }
    assert!((Rgb::BLACK.contrast(Rgb::WHITE) - 21.0).abs() < 0.01);
}

#[test]
fn parts_tile_the_frame_and_leave_the_content_free() {
    for content in [
        Size { w: 640, h: 480 },
        Size { w: 1, h: 1 },
        Size { w: 0, h: 0 },
        Size { w: 40, h: 300 },
    ] {
        for layout in [
            FrameLayout::toplevel(content, 120),
            FrameLayout::popup(content),
        ] {
            let parts = [
                layout.content,
                layout.bar,
                layout.left,
                layout.right,
                layout.bottom,
            ];
            for y in 0..layout.outer.h {
                for x in 0..layout.outer.w {
                    assert_eq!(
                        parts
                            .iter()
                            .filter(|p| p.contains(Point::new(x, y)))
                            .count(),
                        1,
                        "{x},{y} of {layout:?}"
                    );
                }
            }
            assert!(layout.left.w >= 4 && layout.right.w >= 4 && layout.bottom.h >= 4);
        }
    }
}

#[test]
fn extreme_sizes_do_not_overflow() {
    let mut painter = Painter::new();
    for side in [i32::MIN, -1, 0, 1, i32::MAX] {
        let layout = painter.toplevel(Size { w: side, h: side }, "vm");
        assert!(layout.outer.w > 0 && layout.outer.h > 0);
        let bar = painter.bar(&BarSpec {
            scale: side,
            ..spec("vm", RED, layout.bar.w)
        });
        assert!(bar.size().w <= MAX_BAR_WIDTH);
    }
}

#[test]
fn a_narrow_window_keeps_the_whole_name() {
    let mut painter = Painter::new();
    let name = "a-rather-long-vm-name.with-63-characters-0123456789-0123456789ab";
    let layout = painter.toplevel(Size { w: 10, h: 10 }, name);
    let narrow = painter.bar(&spec(name, RED, layout.bar.w));
    let wide = painter.bar(&spec(name, RED, layout.bar.w + 400));
    let end = BORDER + painter.label_width(name);
    for y in 0..BORDER + TITLE_BAR {
        for x in 0..end {
            assert_eq!(narrow.get(x, y), wide.get(x, y), "{x},{y}");
        }
    }
    // The padding right of the last letter is free: nothing was cut off.
    assert_eq!(inked(&narrow, RED, end - LABEL_PADDING / 2..end), 0);
}

#[test]
fn focus_leaves_border_and_label_alone() {
    let mut painter = Painter::new();
    let focused = painter.bar(&spec("work", RED, 300));
    let unfocused = painter.bar(&BarSpec {
        focused: false,
        ..spec("work", RED, 300)
    });
    let strip = BORDER + painter.label_width("work");
    let mut differing = 0;
    for y in 0..BORDER + TITLE_BAR {
        for x in 0..300 {
            let same = focused.get(x, y) == unfocused.get(x, y);
            let in_strip = x >= strip && x < 300 - BORDER && y >= BORDER;
            assert!(same || in_strip, "{x},{y} is trusted and changed");
            differing += usize::from(!same);
        }
    }
    assert!(differing > 1000, "only {differing} pixels tell focus");
}

#[test]
fn no_title_reaches_the_label_or_the_border() {
    let mut painter = Painter::new();
    let plain = painter.bar(&spec("work", RED, 300));
    let strip = BORDER + painter.label_width("work");
    for text in [
        "[personal]",
        &"W".repeat(5000),
        "\u{202e}lanosrep",
        "\u{1}\u{2}",
        "gjpqy\u{300}\u{489}ÅÉ",
    ] {
        let bar = painter.bar(&BarSpec {
            title: text.into(),
            ..spec("work", RED, 300)
        });
        for y in 0..BORDER + TITLE_BAR {
            for x in (0..strip + 2).chain(300 - BORDER..300) {
                assert_eq!(bar.get(x, y), plain.get(x, y), "{text:?} changed {x},{y}");
            }
        }
    }
}

#[test]
fn labels_of_different_vms_differ() {
    let mut painter = Painter::new();
    let bars =
        ["work", "w0rk", "worK", "wor1", "worl"].map(|name| painter.bar(&spec(name, RED, 200)));
    for (i, a) in bars.iter().enumerate() {
        for b in &bars[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

#[test]
fn titles_are_reduced_to_safe_characters() {
    for (given, shown) in [
        ("plain - text_1.txt", "plain - text_1.txt"),
        ("  two   words \t", "two words"),
        ("a\u{202e}b\u{2066}\u{2067}c", "a?b?c"),
        ("e\u{301}", "e?"),
        ("日本語", "?"),
        ("naïve Łódź “q” €", "naïve Łódź “q” €"),
        ("\u{7}\n\u{0}", "? ?"),
        ("", ""),
    ] {
        assert_eq!(title::sanitise(given), shown, "{given:?}");
    }
    assert_eq!(
        title::sanitise(&"x".repeat(10_000)).chars().count(),
        title::MAX_TITLE_CHARS
    );
    assert!(title::sanitise(&"x\u{1}".repeat(1 << 20)).len() <= title::MAX_TITLE_CHARS);
}

#[test]
fn the_font_has_every_character_a_vm_name_may_have() {
    let painter = Painter::new();
    let blank = painter.label_width("");
    for c in (' '..='~').filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)) {
        assert!(painter.label_width(&c.to_string()) > blank, "{c}");
    }
}

#[test]
fn many_labels_do_not_pile_up() {
    let mut painter = Painter::new();
    let first = painter.bar(&spec("vm0", RED, 200));
    for n in 0..1000 {
        painter.bar(&spec(&format!("vm{n}"), RED, 200));
    }
    assert_eq!(painter.bar(&spec("vm0", RED, 200)), first);
}
