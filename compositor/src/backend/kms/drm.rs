//! A [`Card`] by the ioctls of a DRM device node.
//!
//! The older interface is used, not the atomic one: every driver speaks it, and
//! the kernel turns its `DIRTYFB` into an atomic commit with damage clips.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use drm::Device as _;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::connector::{self, State};
use drm::control::dumbbuffer::{DumbBuffer, DumbMapping};
use drm::control::{ClipRect, Device as _, ModeTypeFlags, ResourceHandles, crtc, framebuffer};
use nix::errno::Errno;

use super::card::{Buffer, Card, Mode, Monitor};
use crate::backend::DisplayLost;
use crate::core::{Rect, Size};
use crate::render::pixels::PIXEL_BYTES;

/// Bits of a pixel; [`DEPTH`] of them have a meaning: red, green, blue.
const BITS: u32 = 32;
/// See [`BITS`].
const DEPTH: u32 = 24;

/// An opened DRM device.
#[derive(Debug, Clone)]
pub(crate) struct DrmCard(Rc<Node>);

#[derive(Debug)]
struct Node(OwnedFd);

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

impl DrmCard {
    /// Opens a device node and takes the display.
    ///
    /// # Errors
    /// If there is no such device, or another process has it.
    pub(crate) fn open(path: &Path) -> Result<Self, DisplayLost> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file: File = file.map_err(|error| {
            let hint = match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EACCES) => {
                    "; run as root, or have the device handed over by a service manager"
                }
                Some(Errno::ENOENT) => "; is the driver loaded?",
                _ => "",
            };
            DisplayLost::because(format!("cannot open {}{hint}", path.display()), error)
        })?;
        Self::from_fd(file.into(), &path.display().to_string())
    }

    /// Takes the display through a descriptor; `name` is what errors call it.
    ///
    /// # Errors
    /// If it is no display adapter that shows pictures in memory, or another process has it.
    pub(crate) fn from_fd(fd: OwnedFd, name: &str) -> Result<Self, DisplayLost> {
        let node = Node(fd);
        let driver = node
            .get_driver()
            .map_err(|error| DisplayLost::because(format!("{name} is no DRM device"), error))?;
        // Only the answer "somebody else has it" counts: a descriptor that has
        // the display already may not ask without privileges.
        if let Err(error) = node.acquire_master_lock()
            && error.raw_os_error() == Some(libc::EBUSY)
        {
            let what = format!(
                "another process has the display of {name} (is its DRM master); stop it first"
            );
            return Err(DisplayLost::because(what, error));
        }
        let dumb = node.get_driver_capability(drm::DriverCapability::DumbBuffer);
        if !dumb.is_ok_and(|dumb| dumb != 0) {
            let what = format!("{name} cannot show pictures in memory (has no dumb buffers)");
            return Err(DisplayLost::new(what));
        }
        tracing::info!(device = name, driver = ?driver.name(), "display adapter");
        Ok(Self(Rc::new(node)))
    }

    /// What drives a monitor: the first unit that one of its encoders can be fed by.
    fn unit_for(
        &self,
        resources: &ResourceHandles,
        info: &connector::Info,
    ) -> Option<crtc::Handle> {
        info.encoders().iter().find_map(|encoder| {
            let encoder = self.0.get_encoder(*encoder).ok()?;
            let units = resources.filter_crtcs(encoder.possible_crtcs());
            units.first().copied()
        })
    }
}

/// A monitor's socket and the unit that drives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Output {
    connector: connector::Handle,
    unit: crtc::Handle,
}

impl Card for DrmCard {
    type Output = Output;
    type Timing = drm::control::Mode;
    type Buffer = Dumb;

    fn monitors(&self) -> io::Result<Vec<Monitor<Self>>> {
        let resources = self.0.resource_handles()?;
        let mut monitors = Vec::new();
        for handle in resources.connectors() {
            let info = self.0.get_connector(*handle, true)?;
            if info.state() != State::Connected {
                continue;
            }
            if let Some(unit) = self.unit_for(&resources, &info) {
                monitors.push(Monitor {
                    output: Output {
                        connector: *handle,
                        unit,
                    },
                    modes: info.modes().iter().map(mode).collect(),
                });
            }
        }
        Ok(monitors)
    }

    fn buffer(&self, size: Size) -> io::Result<Dumb> {
        let wanted = (size.w.unsigned_abs(), size.h.unsigned_abs());
        let node = &self.0;
        let memory = node.create_dumb_buffer(wanted, DrmFourcc::Xrgb8888, BITS)?;
        let mut dumb = Dumb {
            mapping: None,
            framebuffer: None,
            memory: Box::new(memory),
            size,
            card: self.clone(),
        };
        dumb.framebuffer = Some(node.add_framebuffer(&*dumb.memory, DEPTH, BITS)?);
        let (row, rows) = (size.w as usize * PIXEL_BYTES, size.h as usize);
        let stride = dumb.stride();
        let mapping = node.map_dumb_buffer(&mut dumb.memory)?;
        let needed = stride.checked_mul(rows);
        if stride < row || needed.is_none_or(|needed| mapping.len() < needed) {
            return Err(io::Error::other("the driver gave too little memory"));
        }
        // SAFETY: the lifetime stands for the buffer, which only goes after the
        // mapping: see `drop`. The box keeps it in its place.
        dumb.mapping =
            Some(unsafe { std::mem::transmute::<DumbMapping<'_>, DumbMapping<'static>>(mapping) });
        Ok(dumb)
    }

    fn show(&self, output: Output, timing: Self::Timing, buffer: &Dumb) -> io::Result<()> {
        self.0.set_crtc(
            output.unit,
            buffer.framebuffer,
            (0, 0),
            &[output.connector],
            Some(timing),
        )
    }

    fn flush(&self, buffer: &Dumb, clip: Rect) -> io::Result<()> {
        let Some(framebuffer) = buffer.framebuffer else {
            return Ok(());
        };
        // Inside the picture, whose sides fit.
        let side = |v: i32| u16::try_from(v).unwrap_or(u16::MAX);
        let clip = ClipRect::new(
            side(clip.x),
            side(clip.y),
            side(clip.right()),
            side(clip.bottom()),
        );
        match self.0.dirty_framebuffer(framebuffer, &[clip]) {
            // A driver that shows the memory itself need not be told.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            told => told,
        }
    }

    fn hide(&self, output: Output) -> io::Result<()> {
        self.0.set_crtc(output.unit, None, (0, 0), &[], None)
    }
}

fn mode(mode: &drm::control::Mode) -> Mode<drm::control::Mode> {
    let (w, h) = mode.size();
    Mode {
        size: Size::new(i32::from(w), i32::from(h)),
        refresh: mode.vrefresh(),
        preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
        timing: *mode,
    }
}

/// A dumb buffer, mapped, and known as something that can be shown.
pub(crate) struct Dumb {
    /// `None` only while it is made and unmade.
    mapping: Option<DumbMapping<'static>>,
    /// `None` only while it is made and unmade.
    framebuffer: Option<framebuffer::Handle>,
    memory: Box<DumbBuffer>,
    size: Size,
    card: DrmCard,
}

impl Buffer for Dumb {
    fn size(&self) -> Size {
        self.size
    }

    fn stride(&self) -> usize {
        self.memory.pitch() as usize
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.mapping
            .as_mut()
            .map_or(&mut [], |mapping| mapping.as_mut())
    }
}

impl Drop for Dumb {
    fn drop(&mut self) {
        self.mapping = None;
        let node = &self.card.0;
        let shown = self.framebuffer.take();
        let removed = shown.map_or(Ok(()), |shown| node.destroy_framebuffer(shown));
        if let Err(error) = removed.and_then(|()| node.destroy_dumb_buffer(*self.memory)) {
            // The device is gone, and the memory with it.
            tracing::debug!(%error, "cannot give back a screen's memory");
        }
    }
}

impl fmt::Debug for Dumb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dumb")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
