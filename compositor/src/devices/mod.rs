//! The machine's own devices: display adapter, keyboards, mice.
//!
//! * `machine`: where they come from; `handover`: from a service manager
//! * `uevent`: word from the kernel that one came or changed
//! * `device`: an input device; `translate`: what its reports mean
//! * `held`: keys held on several devices

mod device;
mod handover;
mod held;
mod machine;
mod translate;
mod uevent;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use calloop::generic::{Generic, NoIoDrop};
use calloop::{Interest, Mode, PostAction};

use crate::core::PointF;
use crate::input::InputEvent;
use crate::state::Compositor;
use device::Device;
use held::Held;
use translate::Act;

pub(crate) use machine::Machine;

/// Input devices at a time. The kernel itself allows about a thousand.
const MAX_DEVICES: usize = 64;

/// The input devices in use.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// By node name, such as `event3`.
    open: BTreeMap<String, DeviceId>,
    last: DeviceId,
    held: Held,
}

/// A device for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct DeviceId(u64);

impl Compositor {
    /// Listens to an input device; `node` is what its descriptor was opened from.
    pub(crate) fn add_input_device(&mut self, node: &str, fd: OwnedFd) {
        if let Err(error) = self.try_add_input_device(node, fd) {
            tracing::warn!(node, %error, "input device is not used");
        }
    }

    fn try_add_input_device(&mut self, node: &str, fd: OwnedFd) -> io::Result<()> {
        if self.devices.open.len() >= MAX_DEVICES {
            return Err(io::Error::other("there are too many"));
        }
        let Some(mut device) = Device::new(fd)? else {
            tracing::debug!(node, "input device is of no use");
            return Ok(());
        };
        tracing::info!(node, name = device.name(), "input device");
        let id = DeviceId(self.devices.last.0 + 1);
        self.devices.last = id;
        let name = node.to_owned();
        let watched = device.as_fd().try_clone_to_owned()?;
        let source = Generic::new(watched, Interest::READ, Mode::Level);
        let read = move |_, _: &mut NoIoDrop<OwnedFd>, compositor: &mut Compositor| {
            Ok(compositor.read_input_device(&name, id, &mut device))
        };
        let inserted = self.handle.insert_source(source, read);
        inserted.map_err(|error| io::Error::other(error.to_string()))?;
        // One of the same name is gone, although it has not been read since.
        self.devices.open.insert(node.to_owned(), id);
        Ok(())
    }

    fn read_input_device(&mut self, node: &str, id: DeviceId, device: &mut Device) -> PostAction {
        let mut acts = Vec::new();
        let result = device.read(&mut acts);
        let action = match result {
            Ok(()) => PostAction::Continue,
            Err(error) => {
                if error.raw_os_error() == Some(libc::ENODEV) {
                    tracing::info!(node, "input device is gone");
                } else {
                    tracing::warn!(node, %error, "input device failed");
                }
                device.release_all(&mut acts);
                self.devices.open.retain(|_, open| *open != id);
                PostAction::Remove
            }
        };
        for act in acts {
            self.act(act);
        }
        action
    }

    /// Lets the user act by a device.
    fn act(&mut self, act: Act) {
        let event = match act {
            Act::Key { code, pressed } if self.devices.held.change(code, pressed) => {
                InputEvent::Key {
                    code: code.into(),
                    pressed,
                }
            }
            Act::Button { code, pressed } if self.devices.held.change(code, pressed) => {
                InputEvent::Button {
                    code: code.into(),
                    pressed,
                }
            }
            Act::Key { .. } | Act::Button { .. } => return,
            Act::To { x, y } => {
                let size = self.core.monitor().size();
                InputEvent::Motion {
                    to: PointF::new(x * f64::from(size.w), y * f64::from(size.h)),
                }
            }
            Act::By { x, y } => {
                let at = self.core.pointer();
                InputEvent::Motion {
                    to: PointF::new(at.x + f64::from(x), at.y + f64::from(y)),
                }
            }
            Act::Wheel {
                horizontal,
                vertical,
            } => InputEvent::Axis {
                horizontal,
                vertical,
            },
        };
        self.input(event);
    }
}
