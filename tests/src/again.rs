//! Tests that change their process for good, such as by a sandbox: each runs itself again
//! in a child process.

use std::env;
use std::io;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells the child that it is one, and where its directory is.
const CHILD: &str = "VIRTIO_WL_TEST_CHILD";

/// A directory, in the child. In the parent it runs `test` (its full name in the test
/// binary) again as a child, and gives nothing once that has passed.
///
/// # Panics
/// The child fails, or no test has that name.
#[must_use = "nothing means that all is done"]
pub fn in_child(test: &str) -> Option<PathBuf> {
    if let Some(dir) = env::var_os(CHILD) {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new(env::current_exe().expect("this executable"))
        .args(["--exact", "--nocapture", test])
        .env(CHILD, dir.path())
        .output()
        .expect("a child");
    // A name that matches no test would pass as well.
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && ran, "{output:?}");
    None
}

/// What a sandbox leaves a daemon that reads one configuration file and listens.
#[derive(Debug)]
pub struct Fenced {
    dir: PathBuf,
    /// Its configuration file, in a directory of its own.
    pub config: PathBuf,
    /// Directory of its sockets.
    pub run: PathBuf,
}

impl Fenced {
    /// Makes the files in `dir`, outside of any sandbox.
    ///
    /// # Panics
    /// They cannot be made.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        let (etc, run) = (dir.join("etc"), dir.join("run"));
        std::fs::create_dir(&etc).expect("a directory");
        std::fs::create_dir(&run).expect("a directory");
        std::fs::write(dir.join("secret"), "x").expect("a file");
        let config = etc.join("config");
        std::fs::write(&config, "x").expect("a file");
        Self { dir, config, run }
    }

    /// Tries, inside of the sandbox, what must work and what must fail.
    ///
    /// # Panics
    /// The sandbox is too tight or too wide.
    pub fn check(&self) {
        assert!(std::fs::read(&self.config).is_ok());
        assert!(std::os::unix::net::UnixListener::bind(self.run.join("s")).is_ok());
        denied(Command::new("/bin/true").status());
        denied(UdpSocket::bind("127.0.0.1:0"));
        denied(std::fs::create_dir(self.run.join("d")));
        if landlock_is_there() {
            denied(std::fs::read(self.dir.join("secret")));
            denied(std::fs::write(&self.config, "y"));
        }
    }
}

/// Expects `EPERM` or `EACCES`.
///
/// # Panics
/// It went well, or failed for another reason.
pub fn denied<T>(result: io::Result<T>) {
    let errno = result.err().map(|error| error.raw_os_error());
    let fenced = [nix::libc::EPERM, nix::libc::EACCES].map(|errno| Some(Some(errno)));
    assert!(fenced.contains(&errno), "{errno:?}");
}

/// The kernel says so whatever the sandbox thinks of it: inside, reading the root directory
/// is what only landlock forbids.
fn landlock_is_there() -> bool {
    Path::new("/").read_dir().is_err()
}
