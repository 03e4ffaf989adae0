//! The command line of QEMU.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use guest_control::{CONTROL_PORT, Role, SCREEN_PORT};

use super::assets::ImageFiles;

#[cfg(test)]
mod tests;

/// `kvm` or `tcg`: how the guest's instructions run.
pub const ACCEL_VARIABLE: &str = "VIRTIO_WL_ACCEL";

/// Id of the virtio_wl device, for hot-plugging.
pub const WL_DEVICE: &str = "wl0";
/// Id of its character device.
pub const WL_CHARDEV: &str = "wl0-socket";
/// Id of the PCI Express port it sits in.
pub const WL_PORT: &str = "wl0-port";
/// Driver of the device: QEMU's generic vhost-user frontend.
pub const WL_DRIVER: &str = "vhost-user-test-device-pci";
/// Virtio device id. QEMU refuses those above 45, so the device's own, 63, cannot be used.
pub const WL_VIRTIO_ID: u32 = 30;
/// Queues `in` and `out`.
pub const WL_QUEUES: u32 = 2;
/// Entries of each queue.
pub const WL_QUEUE_SIZE: u32 = 256;

/// Seconds without progress after which a guest's kernel speaks of a lockup or a stall: many times
/// the usual 20, as a busy host may not run a processor of its guest for so long. A guest that really
/// hangs is noticed by its test's time limit.
const PATIENCE: &str = " watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=150";

/// How the guest's instructions run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Accel {
    /// Emulated, on as many threads as the guest has CPUs.
    #[default]
    Tcg,
    /// Emulated, and each instruction takes 2^`shift` ns of the guest's time: what a guest
    /// measures is the number of instructions. While all its processors sleep, its time goes on
    /// with the host's.
    Icount {
        /// Power of two.
        shift: u8,
    },
    /// By the hardware.
    Kvm,
}

impl Accel {
    /// What [`ACCEL_VARIABLE`] says; emulation when it says nothing.
    pub fn from_environment() -> Self {
        let value = std::env::var(ACCEL_VARIABLE).unwrap_or_default();
        value.parse().unwrap_or_default()
    }

    fn arguments(self) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::Tcg => &["-accel", "tcg,thread=multi", "-cpu", "max"],
            Self::Icount { shift } => {
                // Without `sleep` time would jump to the guest's next timer whenever its processors
                // sleep, be it a second from now: the wait for a device would have any length.
                let icount = format!("shift={shift},sleep=on,align=off");
                let words = ["-accel", "tcg,thread=single", "-cpu", "max", "-icount"];
                return words
                    .into_iter()
                    .chain([&*icount])
                    .map(Into::into)
                    .collect();
            }
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
        };
        words.iter().map(Into::into).collect()
    }
}

impl FromStr for Accel {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            other => bail!("{other:?} is neither kvm nor tcg"),
        }
    }
}

/// Where the screen can be looked at besides by [`super::Qmp`](super::qmp::Qmp).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Display {
    /// Nowhere.
    #[default]
    None,
    /// By VNC, on the first free port of this machine.
    Vnc,
    /// In a window of the given kind (`gtk`, `sdl`).
    Window(String),
}

/// The sockets and files of one VM, below a directory of its own.
#[derive(Clone, Debug)]
pub struct VmPaths {
    dir: PathBuf,
}

impl VmPaths {
    /// Below `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where QEMU's monitor connects to.
    pub fn qmp(&self) -> PathBuf {
        self.dir.join("qmp")
    }

    /// Where the guest's port `org.virtio-wl.control` connects to.
    pub fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    /// The guest's port `org.virtio-wl.screen` listens here.
    pub fn screen(&self) -> PathBuf {
        self.dir.join("screen")
    }

    /// The first serial port listens here.
    pub fn console(&self) -> PathBuf {
        self.dir.join("console")
    }

    /// The second serial port, a shell in debug images, listens here.
    pub fn shell(&self) -> PathBuf {
        self.dir.join("shell")
    }

    /// Everything printed on the first serial port.
    pub fn console_log(&self) -> PathBuf {
        self.dir.join("console.log")
    }
}

/// All that the command line says.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name, for process listings.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it boots.
    pub image: ImageFiles,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// CPUs.
    pub cpus: u32,
    /// How its instructions run.
    pub accel: Accel,
    /// vhost-user socket of its virtio_wl device.
    pub device: Option<PathBuf>,
    /// Screen of the compositor in pixels.
    pub screen: (u32, u32),
    /// Where the screen can be looked at.
    pub display: Display,
    /// Further words for the guest's kernel and init.
    pub kernel_words: Vec<String>,
    /// Further arguments of QEMU.
    pub extra: Vec<OsString>,
}

impl Machine {
    /// The arguments of QEMU for sockets and files at `paths`.
    pub fn arguments(&self, paths: &VmPaths) -> Vec<OsString> {
        let mut line = Line::default();
        let memory = self.memory_mib;
        line.option("-name", &self.name)
            .option("-machine", "q35,memory-backend=memory,vmport=off")
            .words(self.accel.arguments())
            .option("-smp", self.cpus.to_string())
            .option("-m", memory.to_string())
            // The device maps the guest's memory: it has to be a file both can share.
            .option(
                "-object",
                format!("memory-backend-memfd,id=memory,size={memory}M,share=on"),
            )
            .words([
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-nic",
                "none",
            ]);
        self.boot(&mut line);
        Self::serial(&mut line, paths);
        self.ports(&mut line, paths);
        if let Some(socket) = &self.device {
            wl_device(&mut line, socket);
        }
        if self.role == Role::Compositor {
            self.seat(&mut line);
        }
        self.display(&mut line);
        line.words(self.extra.iter().cloned());
        line.0
    }

    fn boot(&self, line: &mut Line) {
        line.option("-kernel", &self.image.kernel)
            .option("-initrd", &self.image.initramfs)
            .option("-append", self.kernel_command_line());
        if let Some(disk) = &self.image.disk {
            let mut drive = OsString::from("if=none,id=disk,format=raw,snapshot=on,file=");
            drive.push(escaped(disk));
            line.option("-drive", drive)
                .option("-device", "virtio-blk-pci,drive=disk");
        }
    }

    /// What the guest's kernel is told.
    pub fn kernel_command_line(&self) -> String {
        let role = match self.role {
            Role::Compositor => "compositor",
            Role::App => "app",
            Role::Bare => "bare",
        };
        let mut text = format!("console=ttyS0 quiet panic=-1 vwl.role={role}");
        if self.accel != Accel::Kvm {
            // There the kernel measures the TSC wrongly on a busy host.
            text.push_str(" clocksource=hpet tsc=unstable");
        }
        text.push_str(PATIENCE);
        // Its init refuses what is no name.
        text.push_str(&format!(" vwl.hostname={}", self.name));
        for word in &self.kernel_words {
            text.push(' ');
            text.push_str(word);
        }
        text
    }

    /// Two serial ports: the console, also kept in a file, and a shell.
    fn serial(line: &mut Line, paths: &VmPaths) {
        let mut console = server("console", &paths.console());
        console.push(",logfile=");
        console.push(escaped(&paths.console_log()));
        line.option("-chardev", console)
            .option("-serial", "chardev:console")
            .option("-chardev", server("shell", &paths.shell()))
            .option("-serial", "chardev:shell");
    }

    /// QEMU's monitor and the guest's ports. QEMU connects to us, so that there is nothing to wait
    /// for; only `ctl` programs come and go by themselves, so the screen's port listens.
    fn ports(&self, line: &mut Line, paths: &VmPaths) {
        line.option("-chardev", client("qmp", &paths.qmp()))
            .option("-mon", "chardev=qmp,mode=control")
            .option("-device", "virtio-serial-pci,id=ports")
            .option("-chardev", client("control", &paths.control()))
            .option("-device", port("control", CONTROL_PORT));
        if self.role == Role::Compositor {
            line.option("-chardev", server("screen", &paths.screen()))
                .option("-device", port("screen", SCREEN_PORT));
        }
    }

    fn seat(&self, line: &mut Line) {
        let (width, height) = self.screen;
        line.option("-vga", "none")
            .option(
                "-device",
                format!("virtio-gpu-pci,id=gpu,xres={width},yres={height}"),
            )
            .option("-device", "virtio-keyboard-pci,id=keyboard")
            .option("-device", "virtio-tablet-pci,id=tablet");
    }

    fn display(&self, line: &mut Line) {
        match &self.display {
            Display::None => line.option("-display", "none"),
            // The first free port of a hundred.
            Display::Vnc => line.option("-display", "vnc=127.0.0.1:0,to=99"),
            Display::Window(kind) => line.option("-display", kind),
        };
    }
}

/// `vwl.run=`: a program the guest starts by itself.
pub fn autostart<S: AsRef<str>>(argv: &[S]) -> String {
    format!("vwl.run={}", guest_control::encode_command(argv))
}

/// That compositor gets clients of other VMs by a relay.
pub const RELAY: &str = "vwl.relay";

/// `vwl.compositor=`: what a compositor VM runs instead of our compositor.
pub fn compositor<S: AsRef<str>>(argv: &[S]) -> String {
    format!("vwl.compositor={}", guest_control::encode_command(argv))
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
        self
    }

    fn words<W: Into<OsString>>(&mut self, words: impl IntoIterator<Item = W>) -> &mut Self {
        self.0.extend(words.into_iter().map(Into::into));
        self
    }
}

/// The virtio_wl device, in a port that can be emptied.
fn wl_device(line: &mut Line, socket: &Path) {
    let device = format!(
        "{WL_DRIVER},id={WL_DEVICE},bus={WL_PORT},chardev={WL_CHARDEV},virtio-id={WL_VIRTIO_ID},\
         num_vqs={WL_QUEUES},vq_size={WL_QUEUE_SIZE},config_size=0"
    );
    line.option("-chardev", client(WL_CHARDEV, socket))
        .option(
            "-device",
            format!("pcie-root-port,id={WL_PORT},chassis=1,slot=1"),
        )
        .option("-device", device);
}

fn port(chardev: &str, name: &str) -> String {
    format!("virtserialport,bus=ports.0,chardev={chardev},id={chardev}-port,name={name}")
}

fn client(id: &str, path: &Path) -> OsString {
    let mut text = OsString::from(format!("socket,id={id},path="));
    text.push(escaped(path));
    text
}

fn server(id: &str, path: &Path) -> OsString {
    let mut text = client(id, path);
    text.push(",server=on,wait=off");
    text
}

/// A path as a value of a QEMU option: commas are doubled.
fn escaped(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = path.as_os_str().as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        text.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == b',')));
    }
    OsString::from_vec(text)
}
