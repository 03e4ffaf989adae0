//! A driver whose device is the test: messages are queued in memory, VFDs are pipe read ends and
//! memfds, and what real drivers do at inconvenient times can be asked for.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::stat::fstat,
    unistd::{pipe2, read, write},
};

use super::{Driver, NewVfd};
use crate::{
    Device,
    device::lock,
    limits::{MAX_CHUNK, MAX_VFDS_PER_MESSAGE},
    wire::{ContextName, PipeDirection, VfdKind},
};

/// Answers a message sent to a VFD by messages from it.
type Responder = Box<dyn FnMut(&[u8]) -> Vec<Message> + Send>;

/// The device, as its guest sees it.
#[derive(Debug, Default)]
pub(crate) struct TestDriver {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By inode, as every duplicate of a descriptor shares it.
    vfds: HashMap<u64, Entry>,
    contexts: HashMap<String, Context>,
    refuse_sends: VecDeque<Errno>,
    refuse_pipes: Option<Errno>,
    memories_made: usize,
}

/// What connecting to a name does.
struct Context {
    outcome: Result<Option<Responder>, Errno>,
    /// Remove after use, as a connected socket of the device.
    once: bool,
    opened: Vec<u64>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

struct Entry {
    kind: VfdKind,
    incoming: VecDeque<Message>,
    hung_up: bool,
    /// Holds a byte while something is queued; closed after a hang-up when drained.
    token: Option<(OwnedFd, OwnedFd)>,
    has_token: bool,
    sent: VecDeque<Sent>,
    responder: Option<Responder>,
    dead: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Something for the guest to receive.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) data: VecDeque<u8>,
    pub(crate) vfds: Vec<NewVfd>,
}

impl Message {
    pub(crate) fn new(data: &[u8], vfds: Vec<NewVfd>) -> Self {
        Self {
            data: data.iter().copied().collect(),
            vfds,
        }
    }
}

/// Something the guest has sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) data: Vec<u8>,
    /// Each VFD by its inode.
    pub(crate) vfds: Vec<u64>,
    /// Their descriptors, as the host keeps them.
    pub(crate) fds: Vec<OwnedFd>,
}

pub(crate) fn inode(fd: impl AsFd) -> u64 {
    fstat(fd).expect("an open descriptor").st_ino
}

/// A memfd as the device would announce it.
pub(crate) fn memory(content: &[u8], size: u64) -> NewVfd {
    let options = memfd::MemfdOptions::default().close_on_exec(true);
    let memfd = options.create("test").expect("a memfd");
    memfd.as_file().set_len(size).expect("room");
    nix::sys::uio::pwrite(memfd.as_file(), content, 0).expect("room");
    NewVfd {
        fd: memfd.into_file().into(),
        kind: VfdKind::Memory { size },
    }
}

impl TestDriver {
    pub(crate) fn device() -> (Device, Arc<Self>) {
        let driver = Arc::new(Self::default());
        let shared: Arc<dyn Driver> = driver.clone();
        (Device::with_driver(shared), driver)
    }

    /// Makes a name connectable; `once` as a hot-added connection is.
    pub(crate) fn add_context(&self, name: &str, once: bool, responder: Option<Responder>) {
        self.set_context(name, Ok(responder), once);
    }

    /// Makes connecting to a name fail.
    pub(crate) fn refuse_context(&self, name: &str, errno: Errno) {
        self.set_context(name, Err(errno), false);
    }

    fn set_context(&self, name: &str, outcome: Result<Option<Responder>, Errno>, once: bool) {
        let mut state = lock(&self.state);
        let context = state.contexts.entry(name.to_owned()).or_insert(Context {
            outcome: Ok(None),
            once,
            opened: Vec::new(),
        });
        context.outcome = outcome;
        context.once = once;
    }

    pub(crate) fn remove_context(&self, name: &str) {
        lock(&self.state).contexts.remove(name);
    }

    /// The inodes of all channels opened to a name.
    pub(crate) fn opened(&self, name: &str) -> Vec<u64> {
        lock(&self.state)
            .contexts
            .get(name)
            .map(|context| context.opened.clone())
            .unwrap_or_default()
    }

    /// The next sends fail like this, one each.
    pub(crate) fn refuse_sends(&self, errnos: &[Errno]) {
        lock(&self.state).refuse_sends.extend(errnos);
    }

    pub(crate) fn refuse_pipes(&self, errno: Errno) {
        lock(&self.state).refuse_pipes = Some(errno);
    }

    /// How often memory was asked of the device itself.
    pub(crate) fn memories_made(&self) -> usize {
        lock(&self.state).memories_made
    }

    /// Queues something for the guest.
    pub(crate) fn push(&self, vfd: u64, message: Message) {
        let mut state = lock(&self.state);
        for vfd in &message.vfds {
            let key = inode(&vfd.fd);
            let kind = vfd.kind;
            state
                .vfds
                .entry(key)
                .or_insert_with(|| Entry::new(kind, None));
        }
        let entry = state.vfds.get_mut(&vfd).expect("a VFD");
        entry.incoming.push_back(message);
        entry.settle();
    }

    /// Ends a stream: what is queued can still be received, sending fails.
    pub(crate) fn hang_up(&self, vfd: u64) {
        let mut state = lock(&self.state);
        let entry = state.vfds.get_mut(&vfd).expect("a VFD");
        entry.hung_up = true;
        entry.dead = true;
        entry.settle();
    }

    /// The oldest message the guest has sent.
    pub(crate) fn take_sent(&self, vfd: u64) -> Option<Sent> {
        let mut state = lock(&self.state);
        state.vfds.get_mut(&vfd).expect("a VFD").sent.pop_front()
    }

    fn new_stream(state: &mut State, kind: VfdKind, responder: Option<Responder>) -> NewVfd {
        let (fd, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).expect("a pipe");
        let own = fd.try_clone().expect("a duplicate");
        let key = inode(&fd);
        let mut entry = Entry::new(kind, responder);
        entry.token = Some((own, writer));
        state.vfds.insert(key, entry);
        NewVfd { fd, kind }
    }

    /// A stream for the guest to receive, and its inode.
    pub(crate) fn stream(&self, kind: VfdKind) -> (NewVfd, u64) {
        let vfd = Self::new_stream(&mut lock(&self.state), kind, None);
        let key = inode(&vfd.fd);
        (vfd, key)
    }
}

impl Entry {
    fn new(kind: VfdKind, responder: Option<Responder>) -> Self {
        Self {
            kind,
            incoming: VecDeque::new(),
            hung_up: false,
            token: None,
            has_token: false,
            sent: VecDeque::new(),
            responder,
            dead: false,
        }
    }

    /// Makes the descriptor show what is queued.
    fn settle(&mut self) {
        let Some((reader, writer)) = &self.token else {
            return;
        };
        if self.incoming.is_empty() {
            if self.has_token {
                read(reader, &mut [0]).expect("the token");
                self.has_token = false;
            }
            if self.hung_up {
                self.token = None;
            }
        } else if !self.has_token {
            write(writer, &[0]).expect("room for the token");
            self.has_token = true;
        }
    }

    /// Takes up to `room` bytes, and with them the VFDs of every message touched: early, as the
    /// kernel's driver does, and at most as many as it does.
    fn take(&mut self, room: usize, out: &mut Vec<NewVfd>) -> Vec<u8> {
        let mut data = Vec::new();
        let mut vfds = 0;
        while let Some(message) = self.incoming.front_mut() {
            if data.len() == room || vfds + message.vfds.len() > MAX_VFDS_PER_MESSAGE {
                break;
            }
            vfds += message.vfds.len();
            out.append(&mut message.vfds);
            let count = message.data.len().min(room - data.len());
            data.extend(message.data.drain(..count));
            if message.data.is_empty() {
                self.incoming.pop_front();
                // A message of VFDs only is seen alone, or its emptiness would not show.
                if data.is_empty() {
                    break;
                }
            }
        }
        data
    }
}

impl Driver for TestDriver {
    fn new_context(&self, name: &ContextName) -> io::Result<NewVfd> {
        let mut state = lock(&self.state);
        let Some(mut context) = state.contexts.remove(name.as_str()) else {
            return Err(Errno::ENODEV.into());
        };
        let result = match &mut context.outcome {
            Ok(responder) => Ok(Self::new_stream(
                &mut state,
                VfdKind::Socket,
                responder.take(),
            )),
            Err(errno) => Err((*errno).into()),
        };
        if let Ok(vfd) = &result {
            context.opened.push(inode(&vfd.fd));
        }
        if !context.once {
            state.contexts.insert(name.as_str().to_owned(), context);
        }
        result
    }

    fn new_memory(&self, size: u32) -> io::Result<NewVfd> {
        let vfd = memory(b"", u64::from(size));
        let mut state = lock(&self.state);
        state.memories_made += 1;
        state
            .vfds
            .insert(inode(&vfd.fd), Entry::new(vfd.kind, None));
        Ok(vfd)
    }

    fn new_pipe(&self, direction: PipeDirection) -> io::Result<NewVfd> {
        let mut state = lock(&self.state);
        if let Some(errno) = state.refuse_pipes {
            return Err(errno.into());
        }
        let read = direction == PipeDirection::Read;
        let kind = VfdKind::Pipe { read, write: !read };
        Ok(Self::new_stream(&mut state, kind, None))
    }

    fn send(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        vfds: &[BorrowedFd<'_>],
        _nonblock: bool,
    ) -> io::Result<usize> {
        let key = inode(vfd);
        let data: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        assert!(!data.is_empty() && data.len() <= MAX_CHUNK, "a fit chunk");
        assert!(vfds.len() <= MAX_VFDS_PER_MESSAGE, "a fit number of VFDs");
        let mut state = lock(&self.state);
        if let Some(errno) = state.refuse_sends.pop_front() {
            return Err(errno.into());
        }
        let inodes: Vec<u64> = vfds.iter().map(inode).collect();
        let known = inodes.iter().all(|key| state.vfds.contains_key(key));
        assert!(known, "VFDs of this driver");
        let entry = state.vfds.get_mut(&key).ok_or(Errno::ENOTTY)?;
        if entry.dead {
            return Err(Errno::EPIPE.into());
        }
        let count = data.len();
        if let Some(responder) = &mut entry.responder {
            let answers = responder(&data);
            entry.incoming.extend(answers);
            entry.settle();
        } else {
            let fds = vfds.iter().map(|fd| fd.try_clone_to_owned());
            entry.sent.push_back(Sent {
                data,
                vfds: inodes,
                fds: fds.collect::<io::Result<_>>()?,
            });
        }
        Ok(count)
    }

    fn recv(
        &self,
        vfd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        out: &mut Vec<NewVfd>,
        nonblock: bool,
    ) -> io::Result<usize> {
        assert!(nonblock, "this library waits by itself");
        let room: usize = bufs.iter().map(|buf| buf.len()).sum();
        assert_ne!(room, 0, "the kernel's driver would spin");
        let mut state = lock(&self.state);
        let entry = state.vfds.get_mut(&inode(vfd)).ok_or(Errno::ENOTTY)?;
        if entry.incoming.is_empty() {
            return if entry.hung_up {
                Ok(0)
            } else {
                Err(Errno::EAGAIN.into())
            };
        }
        let data = entry.take(room, out);
        entry.settle();
        let mut rest = &data[..];
        for buf in bufs {
            let count = buf.len().min(rest.len());
            buf[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
        Ok(data.len())
    }

    fn identify(&self, fd: BorrowedFd<'_>) -> io::Result<Option<VfdKind>> {
        let key = fstat(fd)?.st_ino;
        Ok(lock(&self.state).vfds.get(&key).map(|entry| entry.kind))
    }

    fn refresh(&self, vfd: BorrowedFd<'_>) -> io::Result<u64> {
        let mut state = lock(&self.state);
        let entry = state.vfds.get_mut(&inode(vfd)).ok_or(Errno::ENOTTY)?;
        let VfdKind::Memory { size } = &mut entry.kind else {
            return Err(Errno::EINVAL.into());
        };
        *size = u64::try_from(fstat(vfd)?.st_size).map_err(|_| Errno::EOVERFLOW)?;
        Ok(*size)
    }

    fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn dispatch(&self) -> io::Result<()> {
        Ok(())
    }
}
