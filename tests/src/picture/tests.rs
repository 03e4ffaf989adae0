use super::*;
use crate::dir::TestDir;

const BLACK: Rgb = [0, 0, 0];
const RED: Rgb = [255, 0, 0];

fn with_red_dot() -> Picture {
    let mut picture = Picture::filled(4, 3, BLACK);
    picture.set_pixel(2, 1, RED);
    picture
}

#[test]
fn a_written_picture_reads_back_equal() {
    let dir = TestDir::new().unwrap();
    let path = dir.join("dot.png");
    with_red_dot().write(&path).unwrap();
    assert_eq!(Picture::read(&path).unwrap(), with_red_dot());
}

#[test]
fn crop_takes_the_rectangle() {
    let cropped = with_red_dot().crop(2, 1, 2, 2).unwrap();
    assert_eq!(cropped.pixel(0, 0), Some(RED));
    assert_eq!(cropped.count(BLACK), 3);
    with_red_dot().crop(2, 1, 3, 2).unwrap_err();
}

#[test]
fn one_differing_pixel_is_found_and_shown() {
    let dir = TestDir::new().unwrap();
    let plain = Picture::filled(4, 3, BLACK);
    assert_eq!(plain.difference(&with_red_dot()).unwrap().0, 1);
    let error = plain
        .expect_equal(&with_red_dot(), "dot", dir.path())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("dot: 1 pixels differ"), "{error}");
    let shown = Picture::read(&dir.join("dot-difference.png")).unwrap();
    assert_eq!(shown.pixel(2, 1), Some(MARKED));
}
