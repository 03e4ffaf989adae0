//! The server in C, in the compositor's place.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use integration_tests::{Chain, Talk, preload};

use crate::libwayland::Libwayland;
use crate::wire::Client;

/// Name of its socket.
const SOCKET: &str = "wayland-0";

/// The app VM that clients are of.
const VM: &str = "work";

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What it is linked to when it runs.
    pub(crate) libwayland: Libwayland,
    /// Keymaps that each keyboard gets at once.
    pub(crate) keymaps: usize,
    /// Limit of open files; 0: as it is.
    pub(crate) files: usize,
}

impl Settings {
    /// What most tests want.
    pub(crate) fn of(libwayland: Libwayland) -> Self {
        Self {
            libwayland,
            keymaps: 1,
            files: 0,
        }
    }
}

/// A host, and a server in its compositor's VM.
#[derive(Debug)]
pub(crate) struct Server {
    talk: Option<Talk>,
    program: PathBuf,
    settings: Settings,
    pub(crate) chain: Chain,
}

impl Server {
    /// A host whose server is not started yet.
    pub(crate) fn prepare(settings: Settings) -> Result<Self> {
        let chain = Chain::builder()?.vm(VM, "#c62828").start_host()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload/server.c");
        let program = preload::compile(&chain, &source, "wayland-server", &[])?;
        Ok(Self {
            talk: None,
            program,
            settings,
            chain,
        })
    }

    /// A host with its server.
    pub(crate) fn start(settings: Settings) -> Result<Self> {
        let mut server = Self::prepare(settings)?;
        server.launch()?;
        Ok(server)
    }

    /// Starts the server.
    pub(crate) fn launch(&mut self) -> Result<()> {
        let libwayland = self.settings.libwayland;
        let command = libwayland
            .command(&self.program, self.chain.binaries(), self.chain.log_dir())
            .arg(SOCKET)
            .arg(self.settings.keymaps.to_string())
            .arg(self.settings.files.to_string());
        let mut talk = self.chain.serving(command, SOCKET)?.talk()?;
        let line = talk.line()?;
        ensure!(line == "listening", "the server said {line:?}");
        self.talk = Some(talk);
        Ok(())
    }

    /// Where clients in the app VM connect to.
    pub(crate) fn vm_socket(&self) -> PathBuf {
        self.chain.paths().wayland(VM)
    }

    /// Where clients in the compositor's VM connect to.
    pub(crate) fn local_socket(&self) -> Result<PathBuf> {
        Ok(self.chain.desktop()?.join(SOCKET))
    }

    /// A client in the app VM that has made acquaintance.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::start(&self.vm_socket())
    }

    /// The process of the server.
    pub(crate) fn process(&mut self) -> &mut integration_tests::Daemon {
        self.talk.as_mut().expect("a started server").process()
    }

    /// The process ids that the server was told its clients have, in order. The first client of another
    /// VM is preceded by one of the library's own, which asks whether the server can be told of VMs.
    pub(crate) fn client_pids(&mut self) -> Vec<u32> {
        let log = self.process().log_text();
        log.lines()
            .filter_map(|line| line.strip_prefix("client ")?.parse().ok())
            .collect()
    }

    /// It must serve, and then end as it should.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.client()?;
        if let Some(mut talk) = self.talk.take() {
            let status = talk.finish()?;
            ensure!(status.success(), "the server ended with {status}");
        }
        self.chain.stop()
    }
}
