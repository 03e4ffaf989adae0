//! The daemon as a process.

use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::{Frontend, PATIENCE};

/// The real daemon in a directory of its own.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Daemon {
    pub fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, args)
    }

    pub fn start_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let _ = std::fs::remove_file(dir.path().join("notify"));
        let notify = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let args = args
            .iter()
            .map(|arg| arg.replace("DIR", dir.path().to_str().unwrap()));
        let child = Command::new(env!("CARGO_BIN_EXE_vhost-device-wl"))
            .arg("--socket")
            .arg(dir.path().join("device"))
            .args(args)
            .env("NOTIFY_SOCKET", dir.path().join("notify"))
            .env(
                "VIRTIO_WL_LOG",
                std::env::var("VIRTIO_WL_LOG").unwrap_or("warn".into()),
            )
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let child = Some(child);
        let daemon = Daemon { dir, child };
        let mut buf = [0; 256];
        let len = notify
            .recv(&mut buf)
            .expect("the daemon says that it is ready");
        assert_eq!(buf[..len].trim_ascii(), b"READY=1");
        daemon
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.id()).unwrap())
    }

    pub fn listen(&self, name: &str) -> UnixListener {
        UnixListener::bind(self.path(name)).unwrap()
    }

    pub fn frontend(&self) -> Frontend {
        Frontend::connect(&self.path("device"))
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Number of open descriptors of the daemon.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id()))
            .unwrap()
            .count()
    }

    /// Waits for the process to end by itself; keeps its directory.
    pub fn wait_exit(mut self) -> (std::process::ExitStatus, tempfile::TempDir) {
        let mut child = self.child.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || sender.send(child.wait().unwrap()));
        let status = receiver
            .recv_timeout(PATIENCE)
            .expect("the daemon ends in time");
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        (status, dir)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
