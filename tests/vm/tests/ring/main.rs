//! Tests in real VMs. Each boots its own guests; see [`integration_tests::vm`].
//!
//! | module | what |
//! |---|---|
//! | `boot` | a guest starts, runs programs, and is gone in order |
//! | `selftest` | the self-test of the kernel's driver |
//! | `features` | the same with devices that lack features |
//! | `picture` | a window is the same as without VMs, pixel for pixel |
//! | `input` | keys and clicks of the VM's keyboard and pointer |
//! | `app_ends` | an app VM is killed |
//! | `compositor_ends` | the compositor VM is killed and comes back |
//! | `rebind` | a device begins anew: a driver that comes back, a pause, hot-plugging |
//! | `device_ends` | a `vhost-device-wl` is killed under its guest |
//! | `early` | connections from before the compositor's boot |
//! | `flood` | VMs that flood do not stop a third one |
//! | `init_power` | what ends a guest |
//! | `init_compositor` | what the compositor may, and its next start when it was killed |
//! | `foreign_boot` | Debian's compositors in a VM, with clients of their own VM |
//! | `foreign_chain` | the same with clients of app VMs |
//! | `foreign_clipboard` | copying and pasting with them, among VMs |
//! | `foreign_raw` | what only the kernel's driver asks of the interposing library |
//! | `clipboard` | copying and pasting, within a VM and not beyond |

mod app_ends;
mod boot;
mod clipboard;
mod compositor_ends;
mod device_ends;
mod early;
mod features;
mod flood;
mod foreign_boot;
mod foreign_chain;
mod foreign_clipboard;
mod foreign_raw;
mod init_compositor;
mod init_power;
mod input;
mod picture;
mod rebind;
mod selftest;
