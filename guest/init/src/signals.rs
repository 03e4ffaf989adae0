//! Signals to programs and all they started.

use std::fs;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Sends a signal to all processes of the session that `leader` leads.
///
/// Group by group, as a group gets it in one step, which a process that forks meanwhile cannot slip
/// through. There is the leader's own, and those that a shell with job control has made, which are
/// found in /proc.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub(crate) fn signal_session(leader: Pid, signal: Signal) -> nix::Result<()> {
    let result = killpg(leader, signal);
    let mut groups: Vec<Pid> = processes()
        .filter(|process| process.session == leader && process.group != leader)
        .map(|process| process.group)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    let others = groups
        .into_iter()
        .filter(|&group| killpg(group, signal).is_ok())
        .count();
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
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(2);
    let mut next = || {
        fields
            .next()?
            .parse::<libc::pid_t>()
            .ok()
            .map(Pid::from_raw)
    };
    Some(Process {
        group: next()?,
        session: next()?,
    })
}

#[cfg(test)]
mod tests;
