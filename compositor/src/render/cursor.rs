//! The pointer's picture, drawn like everything else: a screen of a virtual
//! machine has no place of its own for it that screenshots would show.

use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::DamageBag;
use smithay::utils::{Buffer, Rectangle, Transform};

use super::element::{Picture, SceneElement};
use super::pixels::PixelBuffer;
use crate::core::{Edges, Point, Rect, Size};

/// `X` is the outline and `.` the inside.
type Art = &'static [&'static str];

/// Points with the pixel in its corner.
const ARROW: Art = &[
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

/// Points with the pixel in its middle, as does [`FALLING`].
const LEVEL: Art = &[
    "   XX   XX   ",
    "  X.X   X.X  ",
    " X..XXXXX..X ",
    "X...........X",
    " X..XXXXX..X ",
    "  X.X   X.X  ",
    "   XX   XX   ",
];

/// From the top left to the bottom right.
const FALLING: Art = &[
    "XXXXXX     ",
    "X....X     ",
    "X...X      ",
    "X....X     ",
    "X.X...X    ",
    "XX X...X XX",
    "    X...X.X",
    "     X....X",
    "      X...X",
    "     X....X",
    "     XXXXXX",
];

/// Black and white, and clear: premultiplied, alpha first.
const OUTLINE: u32 = 0xff00_0000;
/// See [`OUTLINE`].
const INSIDE: u32 = 0xffff_ffff;
/// See [`OUTLINE`].
const CLEAR: u32 = 0;

/// Pictures of the pointer.
#[derive(Debug)]
pub(crate) struct Cursor {
    arrow: Shape,
    level: Shape,
    upright: Shape,
    falling: Shape,
    rising: Shape,
}

impl Cursor {
    /// `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        let arrow = Drawing::of(ARROW);
        let level = Drawing::of(LEVEL);
        let falling = Drawing::of(FALLING);
        Some(Self {
            arrow: Shape::new(&arrow, Point::default())?,
            upright: Shape::centred(&level.transposed())?,
            level: Shape::centred(&level)?,
            rising: Shape::centred(&falling.mirrored())?,
            falling: Shape::centred(&falling)?,
        })
    }

    /// The pointer at `at`, over edges that can be dragged or are.
    pub(crate) fn element(&self, at: Point, edges: Edges) -> SceneElement {
        let (sideways, along) = (edges.left || edges.right, edges.top || edges.bottom);
        let shape = match (sideways, along) {
            (false, false) => &self.arrow,
            (true, false) => &self.level,
            (false, true) => &self.upright,
            (true, true) if edges.left == edges.top => &self.falling,
            (true, true) => &self.rising,
        };
        shape.element(at)
    }
}

/// One picture of the pointer.
#[derive(Debug)]
struct Shape {
    picture: PixelBuffer,
    /// The pixel that points.
    tip: Point,
    damage: DamageBag<i32, Buffer>,
    id: Id,
}

impl Shape {
    fn new(drawing: &Drawing, tip: Point) -> Option<Self> {
        let mut picture = PixelBuffer::new(drawing.size, false)?;
        picture.write(&drawing.pixels);
        Some(Self {
            picture,
            tip,
            damage: DamageBag::new(1),
            id: Id::new(),
        })
    }

    fn centred(drawing: &Drawing) -> Option<Self> {
        let Size { w, h } = drawing.size;
        Self::new(drawing, Point::new(w / 2, h / 2))
    }

    fn element(&self, at: Point) -> SceneElement {
        let size = self.picture.size();
        let picture = Picture {
            texture: self.picture.texture().clone(),
            src: Rectangle::from_size((f64::from(size.w), f64::from(size.h)).into()),
            transform: Transform::Normal,
            damage: self.damage.snapshot(),
            opaque: false,
        };
        let corner = at.relative_to(self.tip);
        SceneElement::picture(self.id.clone(), Rect::at(corner, size), picture)
    }
}

/// Pixels, row by row.
struct Drawing {
    size: Size,
    pixels: Vec<u32>,
}

impl Drawing {
    fn of(art: Art) -> Self {
        let (w, h) = (art.first().map_or(0, |row| row.len()), art.len());
        let at = |x: usize, y: usize| match art[y].as_bytes()[x] {
            b'X' => OUTLINE,
            b'.' => INSIDE,
            _ => CLEAR,
        };
        Self::by(w, h, at)
    }

    fn by(w: usize, h: usize, at: impl Fn(usize, usize) -> u32) -> Self {
        let pixels = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        Self {
            size: Size::new(w as i32, h as i32),
            pixels: pixels.map(|(x, y)| at(x, y)).collect(),
        }
    }

    /// Rows become columns.
    fn transposed(&self) -> Self {
        let (w, h) = (self.size.w as usize, self.size.h as usize);
        Self::by(h, w, |x, y| self.pixels[x * w + y])
    }

    /// Left becomes right.
    fn mirrored(&self) -> Self {
        let (w, h) = (self.size.w as usize, self.size.h as usize);
        Self::by(w, h, |x, y| self.pixels[y * w + (w - 1 - x)])
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
        let shown = canvas
            .draw(&[cursor.element(Point::new(10, 20), Edges::default())])
            .unwrap();
        assert_eq!(shown, [Rect::new(10, 20, 12, 19)]);
        let pixel = |canvas: &Canvas, x: usize, y: usize| canvas.framebuffer().read()[y * 64 + x];
        assert_eq!(pixel(&canvas, 10, 20), 0);
        assert_eq!(pixel(&canvas, 12, 25), 0x00ff_ffff);
        assert_eq!(pixel(&canvas, 21, 20), empty[20 * 64 + 21]);
        canvas
            .draw(&[cursor.element(Point::new(40, 30), Edges::default())])
            .unwrap();
        assert_eq!(pixel(&canvas, 12, 25), empty[25 * 64 + 12]);
        canvas.draw(&[]).unwrap();
        assert_eq!(canvas.framebuffer().read(), empty);
    }

    #[test]
    fn all_rows_of_a_drawing_are_equally_long() {
        for art in [ARROW, LEVEL, FALLING] {
            assert!(art.iter().all(|row| row.len() == art[0].len()));
        }
    }

    #[test]
    fn each_edge_and_corner_has_its_double_arrow() {
        let cursor = Cursor::new().unwrap();
        let edges = |[left, right, top, bottom]: [bool; 4]| Edges {
            left,
            right,
            top,
            bottom,
        };
        // The picture's middle lies where the pointer is.
        let picture = |of| {
            let mut canvas = Canvas::new(Size::new(32, 32)).unwrap();
            canvas
                .draw(&[cursor.element(Point::new(16, 16), edges(of))])
                .unwrap();
            let pixels = canvas.framebuffer().read();
            assert_eq!(pixels[16 * 32 + 16], 0x00ff_ffff);
            let clear = canvas.framebuffer().read()[0];
            let used = (0..1024).filter(|at| pixels[*at] != clear);
            let (xs, ys): (Vec<_>, Vec<_>) = used.map(|at| (at % 32, at / 32)).unzip();
            let extent = |v: &[usize]| (*v.iter().min().unwrap(), *v.iter().max().unwrap());
            (extent(&xs), extent(&ys), pixels)
        };
        let (level, upright) = (((10, 22), (13, 19)), ((13, 19), (10, 22)));
        for (of, expected) in [
            ([true, false, false, false], level),
            ([false, true, false, false], level),
            ([false, false, true, false], upright),
            ([false, false, false, true], upright),
        ] {
            let (xs, ys, _) = picture(of);
            assert_eq!((xs, ys), expected, "{of:?}");
        }
        let falling = picture([true, false, true, false]).2;
        assert_eq!(falling, picture([false, true, false, true]).2);
        let rising = picture([false, true, true, false]).2;
        assert_eq!(rising, picture([true, false, false, true]).2);
        assert_eq!(falling[12 * 32 + 12], 0x00ff_ffff, "towards the top left");
        assert_eq!(rising[12 * 32 + 20], 0x00ff_ffff, "towards the top right");
    }
}
