//! Listens on a socket, and prints a line for each client: `client ENGINE APP INSTANCE`, or
//! `client` alone for one without a context. Ends with its standard input.
#![allow(clippy::print_stdout, reason = "the lines are what the test reads")]

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::poll::PollTimeout;
use test_context_server::{Labels, Offer, Server};

/// Says by which security context its clients come.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen for clients without one
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Offer no security contexts
    #[arg(long)]
    without: bool,
    /// Offer security contexts, and refuse each
    #[arg(long)]
    refuse: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let offer = match (args.without, args.refuse) {
        (true, _) => Offer::Nothing,
        (false, true) => Offer::Refusal,
        (false, false) => Offer::Contexts,
    };
    let mut server = Server::new(offer)?;
    server.listen(UnixListener::bind(&args.socket).context("socket")?)?;
    say("ready")?;
    loop {
        for labels in server.turn(PollTimeout::NONE)? {
            say(&line(labels))?;
        }
    }
}

fn line(labels: Option<Labels>) -> String {
    let Some(labels) = labels else {
        return "client".to_owned();
    };
    let words = [labels.engine, labels.app_id, labels.instance_id];
    words.into_iter().fold("client".to_owned(), |line, word| {
        line + " " + word.as_deref().unwrap_or("-")
    })
}

fn say(line: &str) -> Result<()> {
    println!("{line}");
    std::io::stdout().flush().context("standard output")
}
