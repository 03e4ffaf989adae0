//! Connects again and again: each time a registry, a round trip and the end. For leak tests.
#![allow(clippy::print_stdout, reason = "the line is what the test reads")]

use anyhow::{Context as _, Result};
use clap::Parser;
use test_clients::pool::{PIXEL, Pool};
use test_clients::session::Session;
use test_clients::window::{Rect, Window};

/// Connects again and again.
#[derive(Debug, Parser)]
struct Args {
    /// How often
    #[arg(long, default_value_t = 1000)]
    count: u32,
    /// Show a window of one frame at every so many connections
    #[arg(long, default_value_t = 10)]
    window_every: u32,
}

/// Side of the window in pixels.
const SIDE: usize = 32;

fn main() -> Result<()> {
    let args = Args::parse();
    for number in 0..args.count {
        one(number % args.window_every == 0).with_context(|| format!("connection {number}"))?;
    }
    println!("{} connections", args.count);
    Ok(())
}

fn one(with_window: bool) -> Result<()> {
    let mut session = Session::connect()?;
    if with_window {
        let window = Window::new(&mut session, "connect")?;
        let pool = Pool::new(&session, SIDE * SIDE * PIXEL)?;
        let buffer = pool.buffer(&session, 0, (SIDE, SIDE), 0);
        let all = Rect {
            x: 0,
            y: 0,
            width: SIDE,
            height: SIDE,
        };
        window.show(&mut session, &buffer, &[all])?;
    }
    session.roundtrip()
}
