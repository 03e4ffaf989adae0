//! `wl_surface`: which pixels a commit needs copied.
//!
//! `attach` is held back until `commit`, because only then is it known which
//! copy of the buffer is free; everything else is forwarded at once. All of it
//! is double-buffered state, so the order within one commit does not matter.
//!
//! The moment of `wl_surface.commit` is right also for a synchronised
//! subsurface, whose state takes effect later, with its parent's commit: from
//! its own commit on the client must leave the buffer alone until it is
//! released, so the pixels are final now. Copying at the parent's commit would
//! copy the same pixels later, and the host needs its buffer now anyway, as it
//! caches the state.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use wayland_backend::protocol::MessageDesc;

use super::opcode::{
    SURFACE_ATTACH, SURFACE_COMMIT, SURFACE_DAMAGE, SURFACE_DAMAGE_BUFFER, SURFACE_OFFSET,
    SURFACE_SET_BUFFER_SCALE, SURFACE_SET_BUFFER_TRANSFORM, VIEWPORTER_GET_VIEWPORT,
};
use super::{ClientError, Data, ObjectRef, Relay, args};
use crate::objects::Role;
use crate::shm::damage::{Damage, History, Rect};
use crate::wire::Message;

/// What the relay keeps about a surface.
#[derive(Debug)]
pub(super) struct Surface {
    attach: Option<Attach>,
    /// In units of the surface.
    damage: Damage,
    /// In pixels of the buffer.
    buffer_damage: Damage,
    /// A change after which earlier damage says nothing about the pixels.
    moved: bool,
    scale: i32,
    transform: u32,
    /// Viewports that scale or crop the surface.
    viewports: u32,
    history: History,
}

/// A pending `wl_surface.attach`.
#[derive(Clone, Copy, Debug)]
struct Attach {
    /// `None` takes the content away.
    buffer: Option<ObjectRef>,
    x: i32,
    y: i32,
}

impl Default for Surface {
    fn default() -> Self {
        Self {
            attach: None,
            damage: Damage::default(),
            buffer_damage: Damage::default(),
            moved: false,
            scale: 1,
            transform: 0,
            viewports: 0,
            history: History::default(),
        }
    }
}

impl Surface {
    /// Ends a commit: the damage so far, in pixels, becomes history.
    fn latch(&mut self) {
        let surface_damage = std::mem::take(&mut self.damage);
        let mut damage = std::mem::take(&mut self.buffer_damage);
        let trivial = self.transform == 0 && self.viewports == 0 && self.scale >= 1;
        if surface_damage.is_whole() || (!trivial && !surface_damage.rects().is_empty()) {
            damage.add_whole();
        }
        for rect in surface_damage.rects() {
            damage.add(rect.scaled(self.scale));
        }
        if std::mem::take(&mut self.moved) {
            damage.add_whole();
        }
        self.history.record(damage);
    }
}

impl Relay {
    pub(super) fn surface_request(
        &mut self,
        message: Message<'_>,
        desc: &MessageDesc,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        match message.opcode {
            SURFACE_ATTACH => return self.surface_attach(message),
            SURFACE_COMMIT => self.surface_commit(message.object)?,
            _ => self.surface_state(message)?,
        }
        self.forward_request(message, desc, fds)
    }

    /// Takes note of what says where pixels changed.
    fn surface_state(&mut self, message: Message<'_>) -> Result<(), ClientError> {
        let Some(surface) = self.surface_mut(message.object) else {
            return Ok(());
        };
        let mut args = args(&message);
        match message.opcode {
            SURFACE_DAMAGE | SURFACE_DAMAGE_BUFFER => {
                let [x, y, width, height] = [args.int()?, args.int()?, args.int()?, args.int()?];
                let damage = match message.opcode {
                    SURFACE_DAMAGE => &mut surface.damage,
                    _ => &mut surface.buffer_damage,
                };
                if let Some(rect) = Rect::from_size(x, y, width, height) {
                    damage.add(rect);
                }
            }
            SURFACE_SET_BUFFER_SCALE => {
                let scale = args.int()?;
                surface.moved |= scale != surface.scale;
                surface.scale = scale;
            }
            SURFACE_SET_BUFFER_TRANSFORM => {
                let transform = args.uint()?;
                surface.moved |= transform != surface.transform;
                surface.transform = transform;
            }
            SURFACE_OFFSET => surface.moved |= [args.int()?, args.int()?] != [0, 0],
            _ => {}
        }
        Ok(())
    }

    fn surface_attach(&mut self, message: Message<'_>) -> Result<(), ClientError> {
        let mut args = args(&message);
        let buffer = args.uint()?;
        let (x, y) = (args.int()?, args.int()?);
        args.finish()?;
        let buffer = match buffer {
            0 => None,
            id => match self.objects.get_alive(id).map(|object| object.role) {
                Some(Role::Buffer) => self.reference(id),
                _ => return Err(ClientError::invalid_object(id)),
            },
        };
        if let Some(surface) = self.surface_mut(message.object) {
            surface.attach = Some(Attach { buffer, x, y });
            surface.moved |= (x, y) != (0, 0);
        }
        Ok(())
    }

    /// Sends the held back `attach`, with the host's buffer.
    fn surface_commit(&mut self, id: u32) -> Result<(), ClientError> {
        let Some(this) = self.reference(id) else {
            return Ok(());
        };
        let Some(surface) = self.surface_mut(id) else {
            return Ok(());
        };
        surface.latch();
        let Some(attach) = surface.attach.take() else {
            return Ok(());
        };
        // A buffer destroyed between attach and commit counts as none, as in
        // most compositors; the protocol leaves it open.
        let buffer = attach
            .buffer
            .filter(|buffer| self.reference(buffer.id) == Some(*buffer));
        let buffer = match buffer {
            None => 0,
            Some(buffer) => match self.objects.get(buffer.id).and_then(|object| object.host) {
                Some(host) => host,
                None => self.copy_for(this, buffer)?,
            },
        };
        if let Some(host) = self.objects.get(id).and_then(|object| object.host) {
            self.to_host
                .message(host, SURFACE_ATTACH)
                .uint(buffer)
                .int(attach.x)
                .int(attach.y)
                .done();
        }
        Ok(())
    }

    fn copy_for(&mut self, this: ObjectRef, buffer: ObjectRef) -> Result<u32, ClientError> {
        // The history leaves its surface for the time of the copy, so that the
        // rest of the relay can be borrowed.
        let Some(surface) = self.surface_mut(this.id) else {
            return Err(ClientError::invalid_object(this.id));
        };
        let history = std::mem::take(&mut surface.history);
        let copied = self.copy_buffer(buffer, this.serial, &history);
        if let Some(surface) = self.surface_mut(this.id) {
            surface.history = history;
        }
        copied
    }

    /// `wp_viewporter` and `wp_viewport`: while a surface has a viewport, its
    /// units are not pixels.
    pub(super) fn viewport_request(
        &mut self,
        message: Message<'_>,
        desc: &MessageDesc,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        let object = self.objects.get(message.object);
        let Some(object) = object else {
            return Err(ClientError::invalid_object(message.object));
        };
        let ended = match object.data {
            Data::Viewport(surface) if desc.is_destructor => Some(surface),
            _ => None,
        };
        let role = object.role;
        self.forward_request(message, desc, fds)?;
        if role == Role::Viewporter && message.opcode == VIEWPORTER_GET_VIEWPORT {
            let mut args = args(&message);
            let (viewport, surface) = (args.uint()?, args.uint()?);
            let surface = self.reference(surface);
            if let (Some(surface), Some(viewport)) = (surface, self.objects.get_mut(viewport)) {
                viewport.data = Data::Viewport(surface);
                self.change_viewports(surface, |count| count.saturating_add(1));
            }
        } else if role == Role::Viewport {
            match ended {
                Some(surface) => self.change_viewports(surface, |count| count.saturating_sub(1)),
                None => self.viewport_changed(message.object),
            }
        }
        Ok(())
    }

    fn change_viewports(&mut self, surface: ObjectRef, change: impl FnOnce(u32) -> u32) {
        if self.reference(surface.id) == Some(surface)
            && let Some(surface) = self.surface_mut(surface.id)
        {
            surface.viewports = change(surface.viewports);
            surface.moved = true;
        }
    }

    /// Another part or size of the buffer: damage of the surface meant other
    /// pixels before.
    fn viewport_changed(&mut self, viewport: u32) {
        if let Some(Data::Viewport(surface)) = self.objects.get(viewport).map(|object| &object.data)
        {
            let surface = *surface;
            self.change_viewports(surface, |count| count);
        }
    }
}
