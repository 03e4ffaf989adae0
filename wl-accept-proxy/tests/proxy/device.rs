//! The compositor's device as far as the proxy can tell: its control socket, and a guest
//! that opens `wl-accept` and connection names.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::wait::{self, Deadline};
use virtio_wl::accept_record::{ACCEPT_CONTEXT, AcceptRecord, RECORD_BYTES};
use virtio_wl::host::control::{
    Add, Added, ErrorKind, Listing, MAX_REQUEST_BYTES, Remove, Removed, Reply, Request,
    SocketEntry, SocketKind, bind_listener, receive_packet, send_packet,
};

pub(crate) struct FakeDevice {
    path: PathBuf,
    control: UnixListener,
    link: Option<OwnedFd>,
    /// Connected entries, not yet claimed.
    pub(crate) table: BTreeMap<String, OwnedFd>,
    listening: Option<PathBuf>,
    next: u64,
    reader: Option<UnixStream>,
    records: Vec<AcceptRecord>,
    partial: Vec<u8>,
}

impl FakeDevice {
    pub(crate) fn bind(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            control: UnixListener::from(bind_listener(path)?),
            link: None,
            table: BTreeMap::new(),
            listening: None,
            next: 0,
            reader: None,
            records: Vec::new(),
            partial: Vec::new(),
        })
    }

    /// The guest opens `wl-accept`, as soon as there is such an entry.
    pub(crate) fn open_accept(&mut self) -> Result<()> {
        self.reader = None;
        self.partial.clear();
        self.pump_until("the wl-accept entry", |device| device.listening.is_some())?;
        let path = self.listening.clone().context("just seen")?;
        let reader = UnixStream::connect(path)?;
        reader.set_nonblocking(true)?;
        self.reader = Some(reader);
        Ok(())
    }

    /// The guest goes away, the device stays.
    pub(crate) fn close_accept(&mut self) {
        self.reader = None;
    }

    /// The next record. Its connection must be registered already.
    pub(crate) fn record(&mut self) -> Result<AcceptRecord> {
        self.pump_until("a record", |device| !device.records.is_empty())?;
        let record = self.records.remove(0);
        let name = record.connection.as_str();
        ensure!(
            self.table.contains_key(name),
            "{name} was announced too early"
        );
        Ok(record)
    }

    /// The guest opens a connection's name.
    pub(crate) fn claim(&mut self, record: &AcceptRecord) -> Result<UnixStream> {
        let socket = self.table.remove(record.connection.as_str());
        let stream = UnixStream::from(socket.context("no such name")?);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// Serves events until `done`.
    pub(crate) fn pump_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Deadline::step();
        while !done(self) {
            self.pump(deadline)
                .with_context(|| format!("waiting for {what}"))?;
        }
        Ok(())
    }

    /// Serves one event.
    fn pump(&mut self, deadline: Deadline) -> Result<()> {
        let mut fds = vec![self.control.as_fd()];
        fds.extend(self.link.as_ref().map(|link| link.as_fd()));
        fds.extend(self.reader.as_ref().map(|reader| reader.as_fd()));
        let ready = wait::readable(&fds, deadline)?;
        if ready[0] {
            let (link, _) = self.control.accept()?;
            self.link = Some(link.into());
        } else if self.link.is_some() && ready[1] {
            self.serve()?;
        } else {
            self.read_records()?;
        }
        Ok(())
    }

    fn read_records(&mut self) -> Result<()> {
        let reader = self.reader.as_mut().context("a reader")?;
        let mut buffer = [0; 4 * RECORD_BYTES];
        let count = reader.read(&mut buffer)?;
        ensure!(count > 0, "the announcements have ended");
        self.partial.extend(&buffer[..count]);
        while self.partial.len() >= RECORD_BYTES {
            let rest = self.partial.split_off(RECORD_BYTES);
            let bytes = std::mem::replace(&mut self.partial, rest);
            let bytes: [u8; RECORD_BYTES] = bytes.try_into().expect("split there");
            self.records.push(AcceptRecord::parse(&bytes)?);
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let link = self.link.as_ref().context("a link")?;
        let mut buffer = [0; MAX_REQUEST_BYTES];
        let mut packet = receive_packet(link, &mut buffer)?;
        if packet.len == 0 {
            self.link = None;
            return Ok(());
        }
        let request = Request::parse(&buffer[..packet.len])?;
        let reply = self.reply(request, packet.descriptors.pop())?;
        let link = self.link.as_ref().context("a link")?;
        Ok(send_packet(link, &reply.encode()?, None)?)
    }

    fn reply(&mut self, request: Request, descriptor: Option<OwnedFd>) -> Result<Reply> {
        Ok(match request {
            Request::Add(Add { name, path: None }) => {
                ensure!(name == "wl-conn-%d", "{name}");
                let name = format!("wl-conn-{}", self.next);
                self.next += 1;
                let socket = descriptor.context("add without a socket")?;
                self.table.insert(name.clone(), socket);
                Reply::Added(Added { name })
            }
            Request::Add(Add { name, path }) => {
                ensure!(name == ACCEPT_CONTEXT && descriptor.is_none());
                if self.listening.is_some() {
                    return Ok(Reply::error(ErrorKind::NameInUse, "in use"));
                }
                self.listening = path;
                Reply::Added(Added { name })
            }
            Request::Remove(Remove { name }) => {
                let listening = name == ACCEPT_CONTEXT && self.listening.take().is_some();
                if listening || self.table.remove(&name).is_some() {
                    Reply::Removed(Removed { name })
                } else {
                    Reply::error(ErrorKind::NotFound, "no such name")
                }
            }
            Request::List(_) => {
                let entry = |name: &String| SocketEntry {
                    name: name.clone(),
                    kind: SocketKind::Connected,
                };
                Reply::Listing(Box::new(Listing {
                    sockets: self.table.keys().map(entry).collect(),
                    ..Listing::default()
                }))
            }
            Request::Queues(_) => bail!("not the proxy's business"),
        })
    }
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
