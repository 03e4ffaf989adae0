//! A running VM.

use std::cell::{RefCell, RefMut};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use guest_control::{Ended, Request};

use super::assets::{Assets, Image};
use super::builder::VmBuilder;
use super::console;
use super::device::WlDevice;
use super::guest::Guest;
use super::program::{GuestCommand, Program};
use super::qemu::VmPaths;
use super::qmp::Qmp;
use super::remains::Remains;
use super::screen::VmScreen;
use super::{STEP, dmesg};
use crate::bin::Binaries;
use crate::dir::TestDir;
use crate::leak;
use crate::process::Daemon;
use crate::wait::Deadline;

/// A VM. Dropped without [`Vm::stop`] it is killed, and what is left of it is kept and shown.
#[derive(Debug)]
pub struct Vm {
    // In the order of their end.
    pub(super) monitor: RefCell<Qmp>,
    pub(super) guest: Rc<RefCell<Guest>>,
    pub(super) qemu: Daemon,
    pub(super) device: Option<WlDevice>,
    pub(super) screen_size: (u32, u32),
    pub(super) binaries: Binaries,
    pub(super) paths: VmPaths,
    pub(super) life: Deadline,
    /// Ended as the test wanted.
    pub(super) over: bool,
    pub(super) remains: Remains,
    pub(super) _dir: Option<TestDir>,
}

impl Vm {
    /// A VM of any image.
    pub fn builder(assets: &Assets, image: Image) -> VmBuilder {
        VmBuilder::new(assets, image)
    }

    /// A booted VM with nothing but init and the driver, for the running test. `None` without its
    /// image; the skip has been printed.
    ///
    /// # Errors
    /// When it does not boot.
    pub fn bare() -> Result<Option<Self>> {
        let assets = Assets::for_test(&[Image::Bare])?;
        assets
            .map(|assets| Self::builder(&assets, Image::Bare).start())
            .transpose()
    }

    /// A deadline for one step: never after the VM's own end of life.
    fn step(&self) -> Deadline {
        self.within(STEP)
    }

    fn within(&self, limit: Duration) -> Deadline {
        Deadline::after(limit.min(self.life.left()))
    }

    /// Waits until its init runs; the release of its kernel.
    ///
    /// # Errors
    /// When it does not boot.
    pub fn wait_booted(&self) -> Result<String> {
        let booted = self.guest.borrow_mut().wait_booted(self.step());
        booted.with_context(|| self.console_tail())
    }

    /// Waits until the service of its role takes clients.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_ready(&self) -> Result<()> {
        self.wait_ready_again(0)
    }

    /// How often the service of its role has got ready so far.
    pub fn ready_count(&self) -> u32 {
        self.guest.borrow().ready_count()
    }

    /// Waits until the service has got ready more often than `before`.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_ready_again(&self, before: u32) -> Result<()> {
        let ready = self.guest.borrow_mut().wait_ready(before + 1, self.step());
        ready.with_context(|| self.console_tail())
    }

    /// How often the service of its role has ended so far.
    pub fn service_end_count(&self) -> u32 {
        self.guest.borrow().service_end_count()
    }

    /// Waits until the service has ended more often than `before`; how.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_service_end(&self, before: u32) -> Result<Ended> {
        let deadline = self.step();
        self.guest
            .borrow_mut()
            .wait_service_end(before + 1, deadline)
    }

    /// Runs a program in its session.
    ///
    /// # Errors
    /// When the guest refuses.
    pub fn run<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Program> {
        self.command(argv).start()
    }

    /// A program to be run, with settings.
    pub fn command<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> GuestCommand {
        GuestCommand::new(Rc::clone(&self.guest), argv)
    }

    /// Writes a text file in the guest, as the session's user.
    ///
    /// # Errors
    /// When the guest cannot, or has no shell.
    pub fn write_file(&self, path: &str, text: &str) -> Result<()> {
        let cat = self.run(["sh", "-c", r#"cat > "$1""#, "sh", path])?;
        cat.input(text)?;
        cat.end_input()?;
        cat.success().map(drop)
    }

    /// The kernel's log.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn kernel_log(&self) -> Result<String> {
        self.guest.borrow_mut().kernel_log(self.step())
    }

    /// Fails when the kernel's log speaks of trouble.
    ///
    /// # Errors
    /// With these lines.
    pub fn check_kernel_log(&self) -> Result<()> {
        let log = self.kernel_log()?;
        let trouble = dmesg::trouble(&log);
        ensure!(trouble.is_empty(), "kernel log:\n{}", trouble.join("\n"));
        Ok(())
    }

    /// Readable when its init has something to say, or is gone: a descriptor of its own.
    ///
    /// # Errors
    /// When there are too many descriptors.
    pub fn news_fd(&self) -> Result<OwnedFd> {
        let guest = self.guest.borrow();
        guest.fd().try_clone_to_owned().context("dup")
    }

    /// Takes what init has said by now, when [`Self::news_fd`] is readable; whether it may say more.
    ///
    /// # Errors
    /// When it speaks nonsense.
    pub fn take_news(&self) -> Result<bool> {
        self.guest.borrow_mut().take_waiting()
    }

    /// The release of its kernel, if its init is known to run.
    pub fn kernel(&self) -> Option<String> {
        self.guest.borrow().kernel().map(str::to_owned)
    }

    /// Asks it to power off, without waiting for that.
    ///
    /// # Errors
    /// When it is gone.
    pub fn power_off(&self) -> Result<()> {
        self.guest.borrow_mut().say(&Request::Halt {})
    }

    /// Its paths.
    pub fn paths(&self) -> &VmPaths {
        &self.paths
    }

    /// QEMU.
    pub fn qemu(&self) -> &Daemon {
        &self.qemu
    }

    /// QEMU's monitor.
    ///
    /// # Panics
    /// When it is borrowed already: a mistake in the test.
    pub fn monitor(&self) -> RefMut<'_, Qmp> {
        self.monitor.borrow_mut()
    }

    /// The `vhost-device-wl` of its own.
    ///
    /// # Errors
    /// When it has none.
    pub fn device(&mut self) -> Result<&mut WlDevice> {
        self.device
            .as_mut()
            .context("this VM has no device of its own")
    }

    /// Its screen and its compositor.
    ///
    /// # Errors
    /// When the compositor has not been built on this side.
    pub fn screen(&self) -> Result<VmScreen<'_>> {
        let binary = self.binaries.path("virtio-wl-compositor")?;
        Ok(VmScreen::new(
            &self.monitor,
            binary,
            self.paths.screen(),
            self.screen_size,
        ))
    }

    /// Resident memory of QEMU, the guest's included, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_kib(&self) -> Result<u64> {
        leak::resident_kib(self.qemu.pid())
    }

    /// The last lines of its console, for messages.
    pub fn console_tail(&self) -> String {
        let tail = self.remains.console_tail();
        match tail.trim() {
            "" => "nothing on the guest's console".to_owned(),
            _ => tail,
        }
    }

    /// Kills it as a power cut would, which the test wants.
    ///
    /// # Errors
    /// When QEMU cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.over = true;
        self.qemu.kill().map(drop)
    }

    /// Waits until the guest has ended by itself, which the test wants.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait_end(mut self) -> Result<()> {
        let deadline = self.step();
        self.qemu.wait_until(deadline)?;
        self.over = true;
        self.stop_device()
    }

    /// Ends it: its kernel's log must be free of trouble, and it must power off in order.
    ///
    /// # Errors
    /// When one of both is not so.
    pub fn stop(mut self) -> Result<()> {
        self.check_kernel_log()?;
        let deadline = self.step();
        self.guest.borrow_mut().halt(deadline)?;
        let status = self.qemu.wait_until(deadline)?;
        if !status.success() {
            bail!("QEMU ended with {status}\n{}", self.qemu.log_tail());
        }
        self.over = true;
        self.stop_device()
    }

    fn stop_device(&mut self) -> Result<()> {
        match &mut self.device {
            Some(device) => device.daemon().stop_cleanly(),
            None => Ok(()),
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if !self.over {
            // Its last words, if it still has any.
            let log = self
                .guest
                .try_borrow_mut()
                .map(|mut guest| guest.kernel_log(self.within(Remains::LAST_WORDS)).ok())
                .ok()
                .flatten();
            self.remains.keep(
                &self.guest,
                log.as_deref(),
                self.qemu.try_wait().ok().flatten(),
            );
            if console::is_wanted() {
                console::attach(&self.paths.shell());
            }
        }
        let _ = self.qemu.kill();
    }
}
