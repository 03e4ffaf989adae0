//! The server in C, in the compositor's place.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use integration_tests::wire::Client;
use integration_tests::{Chain, Talk, preload};

use crate::libwayland::Libwayland;

/// Name of its socket.
const SOCKET: &str = "wayland-0";

/// The app VM that most clients are of.
pub(crate) const VM: &str = "work";

/// The other one.
pub(crate) const OTHER_VM: &str = "personal";

/// What it is made of.
const SOURCES: [&str; 2] = ["tests/preload/server.c", "tests/preload/contexts.c"];

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What it is linked to when it runs.
    pub(crate) libwayland: Libwayland,
    /// Keymaps that each keyboard gets at once.
    pub(crate) keymaps: usize,
    /// Limit of open files; 0: as it is.
    pub(crate) files: usize,
    /// Whether it can be told which VM a client is of.
    pub(crate) contexts: bool,
    /// How the library gets before libc.
    pub(crate) library: Library,
}

impl Settings {
    /// What most tests want.
    pub(crate) fn of(libwayland: Libwayland) -> Self {
        Self {
            libwayland,
            keymaps: 1,
            files: 0,
            contexts: false,
            library: Library::Preloaded,
        }
    }
}

/// How the library gets before libc.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Library {
    /// By `LD_PRELOAD`.
    Preloaded,
    /// The server was linked with it, and nothing is said at its start.
    Linked,
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
        let builder = Chain::builder()?.vm(VM, "#c62828").vm(OTHER_VM, "#2e7d32");
        let chain = builder.start_host()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = SOURCES.map(|source| root.join(source));
        let program = match settings.library {
            Library::Preloaded => preload::compile(&chain, &sources, "wayland-server", &[])?,
            Library::Linked => {
                let library = preload::linked_name(&chain)?;
                let options = ["-Wl,--no-as-needed".as_ref(), library.as_os_str()];
                preload::compile(&chain, &sources, "wayland-server", &options)?
            }
        };
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
            .arg(self.settings.files.to_string())
            .arg(u8::from(self.settings.contexts).to_string());
        let mut command = self.chain.serving(command, SOCKET)?;
        if self.settings.library == Library::Linked {
            command = command.env_remove("LD_PRELOAD");
        }
        let mut talk = command.talk()?;
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
