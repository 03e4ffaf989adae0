//! A deterministic picture in a window: a checked pattern, then frames that each change some
//! rectangles for good, with partial damage, several buffers and a pool that grows on the way.
//!
//! Damage that was not copied anywhere on the way stays visible, so the last picture is right only
//! if every frame arrived whole.
#![allow(clippy::print_stdout, reason = "tells the test which frame is shown")]

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use test_clients::canvas::Canvas;
use test_clients::pool::{PIXEL, Pool};
use test_clients::session::Session;
use test_clients::window::{Rect, Window};
use wayland_client::protocol::wl_buffer::WlBuffer;

/// Shows a checked pattern.
#[derive(Debug, Parser)]
struct Args {
    /// Frames after the first one
    #[arg(long, default_value_t = 20)]
    frames: u32,
    /// Width in pixels
    #[arg(long, default_value_t = 1920)]
    width: usize,
    /// Height in pixels
    #[arg(long, default_value_t = 1080)]
    height: usize,
    /// Write the picture that should be seen at the end (with --step, of each frame) as PNG
    #[arg(long, value_name = "PATH")]
    expected: Option<PathBuf>,
    /// Print "frame N" after each frame and wait for a line before the next
    #[arg(long)]
    step: bool,
    /// End after the last frame instead of staying
    #[arg(long)]
    exit: bool,
    /// Title while drawing; " done" is added after the last frame
    #[arg(long, default_value = "pattern")]
    title: String,
}

/// One of the buffers drawn in turn.
struct Buffer {
    offset: usize,
    object: WlBuffer,
    /// Changed on the canvas since this buffer was drawn.
    stale: Vec<Rect>,
}

struct Pattern {
    canvas: Canvas,
    pool: Pool,
    buffers: Vec<Buffer>,
}

impl Pattern {
    /// Adds a buffer behind the others, growing the pool first when it does not fit.
    fn add_buffer(&mut self, session: &mut Session) -> Result<()> {
        let bytes = self.canvas.bytes().len();
        let number = self.buffers.len();
        let offset = number * bytes;
        if number > 0 {
            self.pool.grow(offset + bytes)?;
        }
        let object = self
            .pool
            .buffer(session, offset, self.canvas.size(), number);
        let (width, height) = self.canvas.size();
        let stale = vec![Rect {
            x: 0,
            y: 0,
            width,
            height,
        }];
        session.seen.released.insert(number);
        self.buffers.push(Buffer {
            offset,
            object,
            stale,
        });
        Ok(())
    }

    /// Brings a free buffer up to date and shows it.
    fn show(&mut self, session: &mut Session, window: &Window, damage: &[Rect]) -> Result<()> {
        session.dispatch_until(|seen| !seen.released.is_empty())?;
        let number = session.seen.released.pop_first().context("a free buffer")?;
        for buffer in &mut self.buffers {
            buffer.stale.extend_from_slice(damage);
        }
        let buffer = &mut self.buffers[number];
        for rect in buffer.stale.drain(..) {
            for (at, row) in self.canvas.rows(rect) {
                self.pool.write(buffer.offset + at, row)?;
            }
        }
        window.show(session, &buffer.object, damage)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut session = Session::connect()?;
    let window = Window::new(&mut session, &args.title)?;
    let canvas = Canvas::new(args.width, args.height);
    let pool = Pool::new(&session, args.width * args.height * PIXEL)?;
    let mut pattern = Pattern {
        canvas,
        pool,
        buffers: Vec::new(),
    };
    let mut lines = std::io::stdin().lock().lines();

    for frame in 0..=args.frames {
        let damage = if frame == 0 {
            vec![Rect {
                x: 0,
                y: 0,
                width: args.width,
                height: args.height,
            }]
        } else {
            pattern.canvas.advance(frame)
        };
        // Two buffers are needed, as one may be held until it is replaced. The pool grows for the
        // second and for a third, while another is on the screen.
        if [0, 1, args.frames / 2].contains(&frame) {
            pattern.add_buffer(&mut session)?;
        }
        if let Some(path) = args
            .expected
            .as_ref()
            .filter(|_| args.step || frame == args.frames)
        {
            pattern.canvas.write_png(path)?;
        }
        pattern.show(&mut session, &window, &damage)?;
        if args.step {
            println!("frame {frame}");
            std::io::stdout().flush()?;
            if frame < args.frames {
                lines.next().context("no line to go on")??;
            }
        }
    }
    window.toplevel.set_title(format!("{} done", args.title));
    session.roundtrip()?;
    if !args.exit {
        session.dispatch_until(|seen| seen.closed)?;
    }
    Ok(())
}
