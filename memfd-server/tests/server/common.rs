//! The real server on a socket, and a client of it.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use integration_tests::notify::NotifySocket;
use integration_tests::wait::{self, Deadline};
use integration_tests::{Command, Daemon, TestDir};
use nix::sys::signal::Signal;
use virtio_wl::host::control::receive_packet;
use virtio_wl::memfd_request::{Label, MemfdRequest, MemfdStatus};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_memfd-server");

/// A running server.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    notify: NotifySocket,
    pub(crate) dir: TestDir,
}

impl Server {
    /// With VMs `name` and further lines of their tables.
    pub(crate) fn start(vms: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(vms, None)
    }

    /// With at most that many open files.
    pub(crate) fn start_with(vms: &[(&str, &str)], files: Option<u32>) -> Result<Self> {
        let limit = match files {
            None => String::new(),
            Some(files) => format!("ulimit -n {files}; "),
        };
        let dir = TestDir::new()?;
        let config = dir.write("config.toml", config(dir.path(), vms))?;
        dir.sub("run")?;
        let notify = NotifySocket::bind(dir.join("notify"))?;
        let mut daemon = Command::new("memfd-server", "sh", dir.path())
            .env("NOTIFY_SOCKET", notify.path())
            .args(["-c", &format!("{limit}exec \"$0\" \"$@\""), BINARY])
            .option("--config", config)
            .spawn()?;
        daemon.wait_ready(&notify)?;
        let server = Self {
            daemon,
            notify,
            dir,
        };
        Ok(server)
    }

    pub(crate) fn socket(&self, vm: &str) -> PathBuf {
        socket(self.dir.path(), vm)
    }

    pub(crate) fn connect(&self, vm: &str) -> Result<Client> {
        Client::connect(&self.socket(vm))
    }

    /// New configuration; returns when the server has read it.
    pub(crate) fn reload(&mut self, text: &str) -> Result<()> {
        self.dir.write("config.toml", text)?;
        self.daemon.signal(Signal::SIGHUP)?;
        self.daemon.wait_ready(&self.notify)
    }

    pub(crate) fn config(&self, vms: &[(&str, &str)]) -> String {
        config(self.dir.path(), vms)
    }

    /// Its end, clean and with nothing left.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.daemon.stop_cleanly()?;
        let left = integration_tests::leak::files(&self.dir.join("run"))?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
}

fn socket(dir: &Path, vm: &str) -> PathBuf {
    dir.join("run").join(vm)
}

fn config(dir: &Path, vms: &[(&str, &str)]) -> String {
    let table = |(name, more): &(&str, &str)| {
        let socket = socket(dir, name);
        format!("[[vm]]\nname = \"{name}\"\nsocket = {socket:?}\n{more}\n")
    };
    vms.iter().map(table).collect()
}

/// A connection of a VM.
pub(crate) struct Client(pub(crate) UnixStream);

/// What a reply brought.
pub(crate) struct Reply {
    pub(crate) status: MemfdStatus,
    pub(crate) memory: Option<OwnedFd>,
}

impl Client {
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path);
        Ok(Self(stream.with_context(|| path.display().to_string())?))
    }

    pub(crate) fn send(&mut self, size: u64) -> Result<()> {
        let label = Label::lossy("test");
        let request = MemfdRequest { size, label };
        Ok(self.0.write_all(&request.encode())?)
    }

    /// The next reply, or nothing when the server has hung up.
    pub(crate) fn reply(&mut self) -> Result<Option<Reply>> {
        wait::readable(&[self.0.as_fd()], Deadline::step()).context("no reply")?;
        let mut byte = [0];
        let mut packet = match receive_packet(&self.0, &mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            other => other?,
        };
        if packet.len == 0 {
            return Ok(None);
        }
        ensure!(packet.descriptors.len() <= 1, "more than one descriptor");
        Ok(Some(Reply {
            status: MemfdStatus(byte[0]),
            memory: packet.descriptors.pop(),
        }))
    }

    pub(crate) fn ask(&mut self, size: u64) -> Result<Reply> {
        self.send(size)?;
        self.reply()?.context("the server has hung up")
    }

    /// Memory, which must be granted.
    pub(crate) fn get(&mut self, size: u64) -> Result<OwnedFd> {
        let reply = self.ask(size)?;
        ensure!(reply.status == MemfdStatus::OK, "{:?}", reply.status);
        reply.memory.context("granted without memory")
    }

    /// A refusal, which must be this one.
    pub(crate) fn refused(&mut self, size: u64, status: MemfdStatus) -> Result<()> {
        let reply = self.ask(size)?;
        ensure!(reply.status == status, "{:?}", reply.status);
        ensure!(reply.memory.is_none(), "refused, with memory");
        Ok(())
    }
}
