//! Signals to programs and all they started.

use std::fs;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Sends a signal to all processes of the session that `leader` leads.
///
/// The leader's own process group gets it in one step; a shell with job control has made further
/// groups in its session, which are found in /proc.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub(crate) fn signal_session(leader: Pid, signal: Signal) -> nix::Result<()> {
    let result = killpg(leader, signal);
    let mut others = 0;
    for process in
        processes().filter(|process| process.session == leader && process.group != leader)
    {
        if kill(process.pid, signal).is_ok() {
            others += 1;
        }
    }
    if others > 0 { Ok(()) } else { result }
}

/// The signal of a number.
///
/// # Errors
/// `EINVAL` when it is none that a program may be sent.
pub(crate) fn by_number(number: i32) -> nix::Result<Signal> {
    Signal::try_from(number).map_err(|_| Errno::EINVAL)
}

/// A process, as /proc shows it.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    group: Pid,
    session: Pid,
}

/// All processes there are.
fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        })
        .filter_map(|entry| parse_stat(&fs::read_to_string(entry.path().join("stat")).ok()?))
}

/// `pid (name) state ppid group session ...`; the name may contain anything.
fn parse_stat(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(2);
    let mut next = || {
        fields
            .next()?
            .parse::<libc::pid_t>()
            .ok()
            .map(Pid::from_raw)
    };
    Some(Process {
        pid: Pid::from_raw(pid.parse().ok()?),
        group: next()?,
        session: next()?,
    })
}

#[cfg(test)]
mod tests;
