//! A compositor that shows nothing, but remembers every commit with the pixels
//! that it could read at that moment.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use wayland_server::protocol::{
    wl_buffer, wl_callback, wl_compositor, wl_data_device, wl_data_device_manager, wl_data_source,
    wl_keyboard, wl_output, wl_pointer, wl_region, wl_seat, wl_shell, wl_shm, wl_shm_pool,
    wl_subcompositor, wl_subsurface, wl_surface, wl_touch,
};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

/// Everything the compositor has seen.
#[derive(Default)]
pub(crate) struct Server {
    pub commits: Vec<Commit>,
    /// Buffers that were committed and not yet released.
    pub held: Vec<wl_buffer::WlBuffer>,
    /// Release every buffer as soon as it is committed.
    pub release_at_once: bool,
    /// Live `wl_buffer` objects.
    pub buffers: usize,
    /// Pools ever created, with their sizes in bytes.
    pub pools: Vec<i32>,
    pub keymap: Option<OwnedFd>,
    pub sources: Vec<wl_data_source::WlDataSource>,
    pub callbacks: Vec<wl_callback::WlCallback>,
    pub surfaces: Vec<wl_surface::WlSurface>,
    pub keyboards: Vec<wl_keyboard::WlKeyboard>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Commit {
    pub surface: u32,
    /// `None` without an attach; `Some(None)` when it took the content away.
    pub buffer: Option<Option<wl_buffer::WlBuffer>>,
    pub pixels: Vec<u8>,
    pub damage: Vec<[i32; 4]>,
}

#[derive(Default)]
struct Pending {
    buffer: Option<Option<wl_buffer::WlBuffer>>,
    damage: Vec<[i32; 4]>,
}

/// What a buffer shows.
pub(crate) struct BufferData {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

impl BufferData {
    pub(crate) fn read(&self) -> Vec<u8> {
        let mut pixels = vec![0; self.len];
        self.file
            .read_exact_at(&mut pixels, self.offset)
            .expect("memory of the relay");
        pixels
    }
}

pub(crate) fn pixels(buffer: &wl_buffer::WlBuffer) -> Vec<u8> {
    buffer.data::<BufferData>().expect("our buffer").read()
}

pub(crate) fn announce(display: &Display<Server>) {
    let handle = display.handle();
    handle.create_global::<Server, wl_compositor::WlCompositor, ()>(6, ());
    handle.create_global::<Server, wl_shm::WlShm, ()>(2, ());
    handle.create_global::<Server, wl_subcompositor::WlSubcompositor, ()>(1, ());
    handle.create_global::<Server, wl_seat::WlSeat, ()>(7, ());
    handle.create_global::<Server, wl_output::WlOutput, ()>(4, ());
    handle.create_global::<Server, wl_data_device_manager::WlDataDeviceManager, ()>(3, ());
    // Hidden by the relay.
    handle.create_global::<Server, wl_shell::WlShell, ()>(1, ());
}

impl Server {
    /// Releases all buffers that are held.
    pub(crate) fn release_all(&mut self) {
        for buffer in self.held.drain(..) {
            buffer.release();
        }
    }
}

macro_rules! globals {
    ($($interface:ty),*) => {$(
        impl GlobalDispatch<$interface, ()> for Server {
            fn bind(
                _: &mut Self, _: &DisplayHandle, _: &Client, new: New<$interface>, (): &(),
                init: &mut DataInit<'_, Self>,
            ) {
                init.init(new, ());
            }
        }
    )*};
}

macro_rules! inert {
    ($($interface:ty),*) => {$(
        impl Dispatch<$interface, ()> for Server {
            fn request(
                _: &mut Self, _: &Client, _: &$interface, _: <$interface as Resource>::Request,
                (): &(), _: &DisplayHandle, _: &mut DataInit<'_, Self>,
            ) {}
        }
    )*};
}

globals!(
    wl_compositor::WlCompositor,
    wl_subcompositor::WlSubcompositor,
    wl_output::WlOutput,
    wl_data_device_manager::WlDataDeviceManager,
    wl_shell::WlShell
);
inert!(
    wl_output::WlOutput,
    wl_shell::WlShell,
    wl_region::WlRegion,
    wl_subsurface::WlSubsurface,
    wl_pointer::WlPointer,
    wl_touch::WlTouch,
    wl_keyboard::WlKeyboard,
    wl_callback::WlCallback
);

impl GlobalDispatch<wl_shm::WlShm, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        new: New<wl_shm::WlShm>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        let shm = init.init(new, ());
        shm.format(wl_shm::Format::Argb8888);
        shm.format(wl_shm::Format::Xrgb8888);
        shm.format(wl_shm::Format::Rgb565);
        // Cannot be copied row by row, so clients must not see it.
        shm.format(wl_shm::Format::Nv12);
    }
}

impl GlobalDispatch<wl_seat::WlSeat, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        new: New<wl_seat::WlSeat>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(new, ())
            .capabilities(wl_seat::Capability::Keyboard);
    }
}

impl Dispatch<wl_compositor::WlCompositor, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &wl_compositor::WlCompositor,
        request: wl_compositor::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            wl_compositor::Request::CreateSurface { id } => {
                state.surfaces.push(init.init(id, Mutex::default()));
            }
            wl_compositor::Request::CreateRegion { id } => {
                init.init(id, ());
            }
            _ => {}
        }
    }
}

impl Dispatch<wl_surface::WlSurface, Mutex<Pending>> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        surface: &wl_surface::WlSurface,
        request: wl_surface::Request,
        pending: &Mutex<Pending>,
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let mut pending = pending.lock().expect("one thread");
        match request {
            wl_surface::Request::Attach { buffer, .. } => pending.buffer = Some(buffer),
            wl_surface::Request::Damage {
                x,
                y,
                width,
                height,
            }
            | wl_surface::Request::DamageBuffer {
                x,
                y,
                width,
                height,
            } => {
                pending.damage.push([x, y, width, height]);
            }
            wl_surface::Request::Frame { callback } => {
                state.callbacks.push(init.init(callback, ()));
            }
            wl_surface::Request::Commit => {
                let Pending { buffer, damage } = std::mem::take(&mut *pending);
                let shown = buffer.clone().flatten();
                let commit = Commit {
                    surface: surface.id().protocol_id(),
                    pixels: shown.as_ref().map(pixels).unwrap_or_default(),
                    buffer,
                    damage,
                };
                state.commits.push(commit);
                if let Some(buffer) = shown {
                    if state.release_at_once {
                        buffer.release();
                    } else {
                        state.held.push(buffer);
                    }
                }
                for callback in state.callbacks.drain(..) {
                    callback.done(1);
                }
            }
            _ => {}
        }
    }
}

impl Dispatch<wl_shm::WlShm, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &wl_shm::WlShm,
        request: wl_shm::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_shm::Request::CreatePool { id, fd, size } = request {
            state.pools.push(size);
            init.init(id, Arc::new(File::from(fd)));
        }
    }
}

impl Dispatch<wl_shm_pool::WlShmPool, Arc<File>> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &wl_shm_pool::WlShmPool,
        request: wl_shm_pool::Request,
        file: &Arc<File>,
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_shm_pool::Request::CreateBuffer {
            id,
            offset,
            height,
            stride,
            format,
            ..
        } = request
        {
            assert!(matches!(format, WEnum::Value(_)));
            state.buffers += 1;
            let (offset, len) = (offset as u64, (stride * height) as usize);
            init.init(
                id,
                BufferData {
                    file: Arc::clone(file),
                    offset,
                    len,
                },
            );
        }
    }
}

impl Dispatch<wl_buffer::WlBuffer, BufferData> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        buffer: &wl_buffer::WlBuffer,
        request: wl_buffer::Request,
        _: &BufferData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        if let wl_buffer::Request::Destroy = request {
            assert!(!state.held.contains(buffer), "destroyed while in use");
            state.buffers -= 1;
        }
    }
}

impl Dispatch<wl_subcompositor::WlSubcompositor, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &wl_subcompositor::WlSubcompositor,
        request: wl_subcompositor::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_subcompositor::Request::GetSubsurface { id, .. } = request {
            init.init(id, ());
        }
    }
}

impl Dispatch<wl_seat::WlSeat, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &wl_seat::WlSeat,
        request: wl_seat::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        use std::os::fd::AsFd;
        match request {
            wl_seat::Request::GetKeyboard { id } => {
                let keyboard = init.init(id, ());
                if let Some(keymap) = &state.keymap {
                    keyboard.keymap(wl_keyboard::KeymapFormat::XkbV1, keymap.as_fd(), 6);
                }
                state.keyboards.push(keyboard);
            }
            wl_seat::Request::GetPointer { id } => {
                init.init(id, ());
            }
            wl_seat::Request::GetTouch { id } => {
                init.init(id, ());
            }
            _ => {}
        }
    }
}

impl Dispatch<wl_data_device_manager::WlDataDeviceManager, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &wl_data_device_manager::WlDataDeviceManager,
        request: wl_data_device_manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            wl_data_device_manager::Request::CreateDataSource { id } => {
                state.sources.push(init.init(id, ()));
            }
            wl_data_device_manager::Request::GetDataDevice { id, .. } => {
                init.init(id, ());
            }
            _ => {}
        }
    }
}

inert!(wl_data_source::WlDataSource);

impl Dispatch<wl_data_device::WlDataDevice, ()> for Server {
    fn request(
        _: &mut Self,
        client: &Client,
        device: &wl_data_device::WlDataDevice,
        request: wl_data_device::Request,
        (): &(),
        handle: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        use wayland_server::protocol::wl_data_offer::WlDataOffer;
        // Whoever sets the selection is offered it back.
        if let wl_data_device::Request::SetSelection {
            source: Some(source),
            ..
        } = request
        {
            let offer = client
                .create_resource::<WlDataOffer, wl_data_source::WlDataSource, Self>(
                    handle, 3, source,
                )
                .expect("a living client");
            device.data_offer(&offer);
            offer.offer("text/plain".into());
            device.selection(Some(&offer));
        }
    }
}

impl Dispatch<wayland_server::protocol::wl_data_offer::WlDataOffer, wl_data_source::WlDataSource>
    for Server
{
    fn request(
        _: &mut Self,
        _: &Client,
        _: &wayland_server::protocol::wl_data_offer::WlDataOffer,
        request: wayland_server::protocol::wl_data_offer::Request,
        source: &wl_data_source::WlDataSource,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        use std::os::fd::AsFd;
        use wayland_server::protocol::wl_data_offer::Request;
        if let Request::Receive { mime_type, fd } = request {
            source.send(mime_type, fd.as_fd());
        }
    }
}
