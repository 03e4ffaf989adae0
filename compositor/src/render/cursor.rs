//! The pointer's picture, drawn like everything else: a screen of a virtual
//! machine has no place of its own for it that screenshots would show.

use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::DamageBag;
use smithay::utils::{Buffer, Rectangle, Transform};

use super::element::{Picture, SceneElement};
use super::pixels::PixelBuffer;
use crate::core::{Point, Rect, Size};

/// `X` is the outline and `.` the inside; the pixel that points is the first.
const ARROW: [&str; 19] = [
    "X           ",
    "XX          ",
    "X.X         ",
    "X..X        ",
    "X...X       ",
    "X....X      ",
    "X.....X     ",
    "X......X    ",
    "X.......X   ",
    "X........X  ",
    "X.........X ",
    "X......XXXXX",
    "X...X..X    ",
    "X..XX..X    ",
    "X.X  X..X   ",
    "XX   X..X   ",
    "X     X..X  ",
    "      X..X  ",
    "       XX   ",
];

/// Black and white, and clear: premultiplied alpha first.
const OUTLINE: u32 = 0xff00_0000;
/// See [`OUTLINE`].
const INSIDE: u32 = 0xffff_ffff;
/// See [`OUTLINE`].
const CLEAR: u32 = 0;

/// An arrow.
#[derive(Debug)]
pub(crate) struct Cursor {
    picture: PixelBuffer,
    damage: DamageBag<i32, Buffer>,
    id: Id,
}

impl Cursor {
    /// `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        let size = Size::new(ARROW[0].len() as i32, ARROW.len() as i32);
        let mut picture = PixelBuffer::new(size, false)?;
        let pixels: Vec<u32> = ARROW
            .iter()
            .flat_map(|row| row.bytes())
            .map(colour)
            .collect();
        picture.write(&pixels);
        Some(Self {
            picture,
            damage: DamageBag::new(1),
            id: Id::new(),
        })
    }

    /// The arrow pointing at `at`.
    pub(crate) fn element(&self, at: Point) -> SceneElement {
        let size = self.picture.size();
        let picture = Picture {
            texture: self.picture.texture().clone(),
            src: Rectangle::from_size((f64::from(size.w), f64::from(size.h)).into()),
            transform: Transform::Normal,
            damage: self.damage.snapshot(),
            opaque: false,
        };
        SceneElement::picture(self.id.clone(), Rect::at(at, size), picture)
    }
}

fn colour(dot: u8) -> u32 {
    match dot {
        b'X' => OUTLINE,
        b'.' => INSIDE,
        _ => CLEAR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Canvas;

    #[test]
    fn the_arrow_points_where_the_pointer_is_and_leaves_nothing_behind() {
        let mut canvas = Canvas::new(Size::new(64, 64)).unwrap();
        let cursor = Cursor::new().unwrap();
        canvas.draw(&[]).unwrap();
        let empty = canvas.framebuffer().read();
        let shown = canvas.draw(&[cursor.element(Point::new(10, 20))]).unwrap();
        assert_eq!(shown, [Rect::new(10, 20, 12, 19)]);
        let pixel = |canvas: &Canvas, x: usize, y: usize| canvas.framebuffer().read()[y * 64 + x];
        assert_eq!(pixel(&canvas, 10, 20), 0);
        assert_eq!(pixel(&canvas, 12, 25), 0x00ff_ffff);
        assert_eq!(pixel(&canvas, 21, 20), empty[20 * 64 + 21]);
        canvas.draw(&[cursor.element(Point::new(40, 30))]).unwrap();
        assert_eq!(pixel(&canvas, 12, 25), empty[25 * 64 + 12]);
        canvas.draw(&[]).unwrap();
        assert_eq!(canvas.framebuffer().read(), empty);
    }

    #[test]
    fn all_rows_of_the_arrow_are_equally_long() {
        assert!(ARROW.iter().all(|row| row.len() == ARROW[0].len()));
    }
}
