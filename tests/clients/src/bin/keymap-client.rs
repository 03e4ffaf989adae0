//! Says what its keymap descriptor is, as one line of JSON, then stays until its input ends (so
//! that two clients can be compared while both hold theirs).
#![allow(clippy::print_stdout, reason = "the line is what the test reads")]

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::fstat;
use test_clients::session::Session;

fn main() -> Result<()> {
    let mut session = Session::connect()?;
    let seat = session.seat.clone().context("no wl_seat")?;
    let _keyboard = seat.get_keyboard(&session.handle, ());
    session.dispatch_until(|seen| seen.keymap.is_some())?;
    let (fd, size) = session.seen.keymap.take().context("no keymap")?;

    let stat = fstat(&fd).context("fstat")?;
    let seals = fcntl(&fd, FcntlArg::F_GET_SEALS).ok();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).context("link")?;
    let mut text = Vec::new();
    let file = std::fs::File::open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .context("cannot open the keymap for reading")?;
    file.take(u64::from(size))
        .read_to_end(&mut text)
        .context("keymap")?;
    let line = serde_json::json!({
        "device": stat.st_dev,
        "inode": stat.st_ino,
        "file_size": stat.st_size,
        "keymap_size": size,
        "seals": seals,
        "link": link,
        "is_keymap": text.starts_with(b"xkb_keymap"),
    });
    println!("{line}");
    std::io::stdout().flush()?;
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .context("standard input")?;
    Ok(())
}
