//! What is said on the guest's console: our own log, and what programs write that nobody reads.

use std::fmt;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::read;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::init::Init;

/// First word of each line of ours.
const PREFIX: &str = "virtio-wl-init";

/// Longest line taken from a program in one piece, in bytes.
const MAX_LINE: usize = 1024;

/// Lines that begin with our name, and have no time: the console's reader adds one.
struct Format;

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(to, "{PREFIX}: {level}: ")?;
        context.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}

/// Sends our log to standard error.
pub(crate) fn install() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("VIRTIO_WL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .event_format(Format)
        .init();
}

/// Logs what comes out of a pipe until its end, line by line, under a name.
pub(crate) fn follow(handle: &LoopHandle<'static, Init>, pipe: Rc<OwnedFd>, name: String) {
    if let Err(errno) = fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)) {
        tracing::error!("cannot follow {name}: {errno}");
        return;
    }
    let source = Generic::new(Rc::clone(&pipe), Interest::READ, Mode::Level);
    let mut line = Vec::new();
    let result = handle.insert_source(source, move |_, _, _| {
        let mut bytes = [0; MAX_LINE];
        match read(&*pipe, &mut bytes) {
            Ok(0) => {
                say(&name, &mut line);
                Ok(PostAction::Remove)
            }
            Ok(count) => {
                split(&bytes[..count], &mut line, |line| say(&name, line));
                Ok(PostAction::Continue)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(PostAction::Continue),
            Err(errno) => {
                tracing::debug!("{name}: {errno}");
                Ok(PostAction::Remove)
            }
        }
    });
    if let Err(error) = result {
        tracing::error!("cannot follow a program's output: {}", error.error);
    }
}

/// Gives each line that is complete or as long as a line may be.
fn split(bytes: &[u8], line: &mut Vec<u8>, mut each: impl FnMut(&mut Vec<u8>)) {
    for &byte in bytes {
        if byte != b'\n' {
            line.push(byte);
        }
        if byte == b'\n' || line.len() >= MAX_LINE {
            each(line);
        }
    }
}

fn say(name: &str, line: &mut Vec<u8>) {
    if !line.is_empty() {
        let text = String::from_utf8_lossy(line);
        // A program must not make lines that look like ours, nor drive the terminal.
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        tracing::info!("[{name}] {text}");
        line.clear();
    }
}
