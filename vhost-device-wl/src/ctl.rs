//! `vhost-device-wl ctl`: asks a running device, prints its JSON.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use virtio_wl::host::control::{Add, Client, ControlError, List, Queues, Remove};

use crate::args::{CtlArgs, CtlRequest};

/// The device answers at once; this is for a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nobody listens on the control socket.
    #[error("no device answers at {path}: is it running, with --control {path}?")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The device refused, or did not answer.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Standard output.
    #[error("cannot print the answer")]
    Print(#[from] std::io::Error),
}

/// Carries out one `ctl` command.
///
/// # Errors
/// [`CtlError`].
pub fn run(args: CtlArgs) -> Result<(), CtlError> {
    let mut client = Client::connect(&args.control).map_err(|source| CtlError::Connect {
        path: args.control,
        source,
    })?;
    match args.request {
        CtlRequest::List { sockets_only } => list(&mut client, sockets_only),
        CtlRequest::Queues => print(&client.call(Queues {}, None, PATIENCE)?),
        CtlRequest::Add { name, path } => {
            let stdin = std::io::stdin();
            let socket = path.is_none().then(|| stdin.as_fd());
            print(&client.call(Add { name, path }, socket, PATIENCE)?)
        }
        CtlRequest::Remove { name } => print(&client.call(Remove { name }, None, PATIENCE)?),
    }
}

/// All pages of the listing as one.
fn list(client: &mut Client, sockets_only: bool) -> Result<(), CtlError> {
    let ask = |from| List { from, sockets_only };
    let mut all = client.call(ask(None), None, PATIENCE)?;
    while let Some(from) = all.next.take() {
        let page = client.call(ask(Some(from)), None, PATIENCE)?;
        all.vfds.extend(page.vfds);
        all.next = page.next.filter(|next| *next > from);
    }
    print(&all)
}

fn print(answer: &impl Serialize) -> Result<(), CtlError> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, answer).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}
