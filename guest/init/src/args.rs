//! As an ordinary program.

use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use guest_control::Role;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::utsname::uname;

use crate::agent::{Kind, Policy};
use crate::init::Init;
use crate::session::Session;

/// The first process of a virtio-wl guest image.
///
/// Started by the kernel it boots the guest. Started by anybody else it only serves the control
/// port, as the user it runs as: for images with an init of their own.
#[derive(Debug, Parser)]
#[command(name = "virtio-wl-init", version)]
pub(crate) struct Args {
    /// Serve the control protocol here instead of on standard input
    #[arg(long, value_name = "PATH")]
    port: Option<PathBuf>,

    /// What the guest is for
    #[arg(long, value_name = "ROLE", default_value = "bare")]
    role: RoleName,

    /// Run programs even in a compositor VM
    #[arg(long)]
    debug: bool,
}

/// A role, as it is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Compositor,
    App,
    Bare,
}

impl Args {
    /// Serves until the host has gone or says so.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        set_child_subreaper(true).context("cannot take over orphans")?;
        let (port, kind) = match &self.port {
            Some(path) => {
                let file = std::fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(path);
                let file = file.with_context(|| format!("cannot open {}", path.display()))?;
                (file.into(), Kind::Virtio)
            }
            None => {
                let input = std::io::stdin().as_fd().try_clone_to_owned();
                (input.context("cannot take standard input")?, Kind::Stream)
            }
        };
        fcntl(&port, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("cannot use the port")?;
        let role = match self.role {
            RoleName::Compositor => Role::Compositor,
            RoleName::App => Role::App,
            RoleName::Bare => Role::Bare,
        };
        let policy = Policy {
            role,
            alone: role == Role::Compositor && !self.debug,
            session: Session {
                identity: None,
                extra: std::env::vars().collect(),
            },
        };
        let kernel = uname()
            .context("uname")?
            .release()
            .to_string_lossy()
            .into_owned();
        Init::serve(policy, kernel, false, |init| {
            init.agent
                .attach(port, kind)
                .context("cannot serve the port")
        })?;
        Ok(())
    }
}
