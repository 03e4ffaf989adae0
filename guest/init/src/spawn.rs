//! Starting programs.

use std::convert::Infallible;
use std::ffi::{CString, NulError};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{
    Pid, chdir, execve, getpid, pipe2, read, setgroups, setresgid, setresuid, setsid, write,
};

use crate::identity::Identity;
use crate::sys;

/// Where the one descriptor that a program is given by name arrives (`LISTEN_FDS`).
const FIRST_LISTEN_FD: i32 = 3;

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// No name at all.
    #[error("no program is named")]
    Nothing,
    /// Neither a path to an executable file, nor found in `PATH`.
    #[error("no program '{0}'")]
    NotFound(String),
    /// An argument or variable that the kernel cannot take.
    #[error("an argument or variable contains a zero byte")]
    Zero(#[from] NulError),
    /// Making the process failed.
    #[error("cannot make a process")]
    Process(#[source] Errno),
    /// The new process failed before the program ran.
    #[error("cannot {step}")]
    Step {
        /// What failed.
        step: &'static str,
        /// Why.
        #[source]
        errno: Errno,
    },
}

/// What to start, and how.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// The program and its arguments.
    pub(crate) argv: &'a [String],
    /// Its whole environment; of a name given twice the later one counts.
    pub(crate) env: Vec<(String, String)>,
    /// As whom; `None`: as we are.
    pub(crate) identity: Option<&'a Identity>,
    /// Standard input, output and error.
    pub(crate) stdio: [OwnedFd; 3],
    /// Passed as `LISTEN_FDS`, under this name.
    pub(crate) listen: Option<(&'static str, OwnedFd)>,
    /// Resource limits, soft and hard.
    pub(crate) limits: &'a [(Resource, rlim_t)],
    /// Whether it can never gain a privilege again.
    pub(crate) confined: bool,
    /// Whether standard input is to be its controlling terminal.
    pub(crate) terminal: bool,
}

impl Spawn<'_> {
    /// Starts the program as the leader of a session of its own, whose id is its process id.
    ///
    /// # Errors
    /// [`SpawnError`]; then no process is left.
    pub(crate) fn start(self) -> Result<Pid, SpawnError> {
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.env {
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value.clone()));
        }
        let name = self
            .argv
            .first()
            .filter(|name| !name.is_empty())
            .ok_or(SpawnError::Nothing)?;
        let paths = env
            .iter()
            .find(|(name, _)| name == "PATH")
            .map_or("", |(_, value)| value);
        let program = find(name, paths).ok_or_else(|| SpawnError::NotFound(name.clone()))?;
        let program = CString::new(program.into_os_string().into_encoded_bytes())?;
        let argv = self
            .argv
            .iter()
            .map(|word| CString::new(word.as_str()))
            .collect::<Result<Vec<_>, _>>()?;
        let env = env
            .iter()
            .map(|(name, value)| CString::new(format!("{name}={value}")))
            .collect::<Result<Vec<_>, _>>()?;
        // Closed by a successful exec; else it carries the step that failed and why.
        let (report, report_in) = pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::Process)?;
        // Where placing descriptors does not touch it.
        let report_in =
            sys::duplicate_above(report_in, FIRST_LISTEN_FD + 1).map_err(SpawnError::Process)?;
        let pid = sys::fork_with(|| {
            let Err((step, errno)) = self.become_program(&program, &argv, env);
            let place = STEPS.iter().position(|&known| known == step).unwrap_or(0);
            let mut message = errno_number(errno).to_ne_bytes().to_vec();
            message.extend(place.to_ne_bytes());
            let _ = write(&report_in, &message);
            127
        })
        .map_err(SpawnError::Process)?;
        drop(report_in);
        match failure(&report) {
            None => Ok(pid),
            Some(error) => {
                let _ = nix::sys::wait::waitpid(pid, None);
                Err(error)
            }
        }
    }

    /// In the new process: everything up to exec.
    fn become_program(
        self,
        program: &CString,
        argv: &[CString],
        mut env: Vec<CString>,
    ) -> Result<Infallible, (&'static str, Errno)> {
        let step = |step: &'static str| move |errno: Errno| (step, errno);
        setsid().map_err(step(STEPS[0]))?;
        for (number, fd) in (0..).zip(&self.stdio) {
            sys::place_descriptor(fd, number).map_err(step(STEPS[1]))?;
        }
        if let Some((name, fd)) = &self.listen {
            sys::place_descriptor(fd, FIRST_LISTEN_FD).map_err(step(STEPS[1]))?;
            for variable in [
                format!("LISTEN_PID={}", getpid()),
                "LISTEN_FDS=1".to_owned(),
                format!("LISTEN_FDNAMES={name}"),
            ] {
                env.extend(CString::new(variable));
            }
        }
        if self.terminal {
            sys::take_terminal(&self.stdio[0]).map_err(step(STEPS[2]))?;
        }
        for &(resource, limit) in self.limits {
            setrlimit(resource, limit, limit).map_err(step(STEPS[3]))?;
        }
        if self.confined {
            sys::drop_bounding_set().map_err(step(STEPS[4]))?;
            set_no_new_privs().map_err(step(STEPS[4]))?;
        }
        if let Some(identity) = self.identity {
            setgroups(&identity.groups).map_err(step(STEPS[5]))?;
            setresgid(identity.gid, identity.gid, identity.gid).map_err(step(STEPS[5]))?;
            setresuid(identity.uid, identity.uid, identity.uid).map_err(step(STEPS[5]))?;
            // A missing home is no reason not to run.
            let _ = chdir(&identity.home);
        }
        for signal in Signal::iterator() {
            sys::default_signal(signal);
        }
        SigSet::empty().thread_set_mask().map_err(step(STEPS[6]))?;
        execve(program, argv, &env).map_err(step(STEPS[7]))
    }
}

/// What a new process does before exec, as it is named in errors.
const STEPS: [&str; 8] = [
    "make a session",
    "place its descriptors",
    "take the terminal",
    "set its limits",
    "drop privileges",
    "change its user",
    "unblock signals",
    "execute it",
];

fn errno_number(errno: Errno) -> i32 {
    errno as i32
}

/// What the new process reported, if it failed.
fn failure(report: &OwnedFd) -> Option<SpawnError> {
    let mut message = [0; size_of::<i32>() + size_of::<usize>()];
    loop {
        return match read(report, &mut message) {
            Err(Errno::EINTR) => continue,
            Ok(count) if count == message.len() => {
                let (errno, place) = message.split_at(size_of::<i32>());
                let errno = errno.try_into().map_or(0, i32::from_ne_bytes);
                let place = place.try_into().map_or(0, usize::from_ne_bytes);
                Some(SpawnError::Step {
                    step: STEPS.get(place).copied().unwrap_or(STEPS[0]),
                    errno: Errno::from_raw(errno),
                })
            }
            _ => None,
        };
    }
}

/// Where a program is: as given when its name has a slash, else looked up.
fn find(name: &str, paths: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    paths
        .split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(directory).join(name))
        .find(|path| {
            path.metadata()
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}
