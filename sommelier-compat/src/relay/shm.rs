//! `wl_shm` and `wl_shm_pool`: answered here, for the client's memory is of no
//! use to the host. Errors are those that a compositor gives.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use wayland_client::Proxy;
use wayland_client::protocol::{wl_buffer::WlBuffer, wl_shm_pool::WlShmPool};

use super::buffer::Buffer;
use super::fault::{display_error, shm_error};
use super::opcode::{
    BUFFER_DESTROY, POOL_CREATE_BUFFER, POOL_DESTROY, POOL_RESIZE, SHM_CREATE_POOL, SHM_FORMAT,
};
use super::request::missing_fd;
use super::{ClientError, Data, HostError, Relay, args};
use crate::chain::Chain;
use crate::shm::copy::Layout;
use crate::shm::file::PoolFile;
use crate::shm::format;
use crate::wire::Message;

/// Files of one client that may be open in the relay. Each costs a descriptor
/// of the process that all clients share.
const MAX_FILES: usize = 1024;

impl Relay {
    /// `wl_shm.format`: only formats that can be copied are passed on.
    pub(super) fn shm_format(&mut self, shm: u32, message: Message<'_>) -> Result<(), HostError> {
        let format = args(&message).uint()?;
        if format::bytes_per_pixel(format).is_some() {
            self.buffers.add_format(format);
            self.to_client.message(shm, SHM_FORMAT).uint(format).done();
        }
        Ok(())
    }

    pub(super) fn shm_request(
        &mut self,
        message: Message<'_>,
        fds: &mut VecDeque<OwnedFd>,
    ) -> Result<(), ClientError> {
        debug_assert_eq!(
            message.opcode, SHM_CREATE_POOL,
            "version 1 has no other request"
        );
        let mut args = args(&message);
        let id = args.uint()?;
        let size = args.int()?;
        args.finish()?;
        let fd = fds.pop_front().ok_or_else(missing_fd)?;
        let refuse = |code, text: String| Err(ClientError::new(message.object, code, text));
        if size <= 0 {
            return refuse(shm_error::INVALID_STRIDE, format!("invalid size ({size})"));
        }
        if self.buffers.files.get() >= MAX_FILES {
            return Err(ClientError::display(
                display_error::NO_MEMORY,
                "too many pools",
            ));
        }
        let file = match PoolFile::new(fd, size, &self.buffers.files) {
            Ok(file) => file,
            Err(error) => return refuse(shm_error::INVALID_FD, Chain(&error).to_string()),
        };
        if let Some(host) = self.objects.get(message.object).and_then(|shm| shm.host) {
            self.buffers.set_shm(host);
        }
        let pool = self.objects.create_local(id, WlShmPool::interface(), 1)?;
        pool.data = Data::Pool(Rc::new(file));
        Ok(())
    }

    pub(super) fn pool_request(&mut self, message: Message<'_>) -> Result<(), ClientError> {
        let object = self.objects.get(message.object);
        let Some(Data::Pool(file)) = object.map(|object| &object.data) else {
            return Err(ClientError::invalid_object(message.object));
        };
        match message.opcode {
            POOL_CREATE_BUFFER => {
                let file = Rc::clone(file);
                self.create_buffer(message, file)
            }
            POOL_DESTROY => {
                args(&message).finish()?;
                self.delete_local(message.object);
                Ok(())
            }
            POOL_RESIZE => {
                let mut args = args(&message);
                let size = args.int()?;
                args.finish()?;
                if size < file.size() {
                    return Err(ClientError::new(
                        message.object,
                        shm_error::INVALID_FD,
                        "shrinking pool invalid",
                    ));
                }
                file.resize(size);
                Ok(())
            }
            _ => Err(ClientError::invalid_object(message.object)),
        }
    }

    fn create_buffer(
        &mut self,
        message: Message<'_>,
        file: Rc<PoolFile>,
    ) -> Result<(), ClientError> {
        let mut args = args(&message);
        let id = args.uint()?;
        let [offset, width, height, stride] = [args.int()?, args.int()?, args.int()?, args.int()?];
        let format = args.uint()?;
        args.finish()?;
        let refuse = |code, text| Err(ClientError::new(message.object, code, text));
        let known = format::bytes_per_pixel(format).filter(|_| self.buffers.has_format(format));
        let Some(bytes_per_pixel) = known else {
            return refuse(
                shm_error::INVALID_FORMAT,
                format!("invalid format {format:#x}"),
            );
        };
        let layout = Layout {
            offset,
            width,
            height,
            stride,
            format,
            bytes_per_pixel,
        };
        let fits = offset >= 0
            && width > 0
            && height > 0
            && i64::from(stride) >= i64::from(width) * i64::from(bytes_per_pixel)
            && i64::from(offset) + i64::from(stride) * i64::from(height) <= i64::from(file.size());
        if !fits {
            let text = format!("invalid width, height or stride ({width}x{height}, {stride})");
            return refuse(shm_error::INVALID_STRIDE, text);
        }
        let buffer = self.objects.create_local(id, WlBuffer::interface(), 1)?;
        buffer.data = Data::Buffer(Box::new(Buffer::new(file, layout)));
        Ok(())
    }

    /// A request of a buffer of shared memory.
    pub(super) fn buffer_request(&mut self, message: Message<'_>) -> Result<(), ClientError> {
        debug_assert_eq!(message.opcode, BUFFER_DESTROY, "the only request");
        args(&message).finish()?;
        if let Some(Data::Buffer(buffer)) = self.delete_local(message.object) {
            self.abandon_copies(&buffer);
        }
        Ok(())
    }
}
