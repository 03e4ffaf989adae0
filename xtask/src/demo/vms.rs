//! With real virtual machines: a compositor VM and two app VMs under QEMU.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use integration_tests::ctl::Window;
use integration_tests::screen::{self, Screen as _};
use integration_tests::vm::qemu::Display;
use integration_tests::vm::{
    Assets, Image as Guest, Program, Vm, VmChain, VmChainBuilder, VmScreen,
};

use super::leftovers::Before;
use super::{Args, FOOT_CONFIG, FOOT_SCRIPT, PERSONAL, Progress, WORK, foreign};
use crate::interrupt::Interrupt;
use crate::vm::{self, Image};
use crate::{cargo, deps};

/// Screen of the compositor VM: room for both windows.
const SCREEN: (u32, u32) = (1440, 800);
/// The program of the app VM `work`, from Debian.
pub(super) const GTK_PROGRAM: &str = "gtk3-widget-factory";
/// Where foot's configuration is in the guest.
pub(super) const CONFIG_PATH: &str = "/tmp/foot.ini";
/// A window with text has more colours than its background, its cursor and its decorations.
const PLAIN: usize = 16;
/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// Runs the demo and stops everything again.
pub(super) fn run(args: &Args, interrupt: &Interrupt, progress: &mut Progress) -> Result<()> {
    let started = Instant::now();
    let before = Before::look()?;
    deps::require(&[deps::BUILD, deps::PROGRAMS, deps::VM])?;
    progress.say("needed packages are installed");
    println!("     building (a few minutes the first time) ...");
    let binaries = cargo::build(args.profile())?;
    progress.say("all parts are built");
    let image = match args.compositor {
        Some(_) => Image::Desktop,
        None => Image::Compositor,
    };
    let files = vm::ensure(&[image, Image::App], args.profile())?;
    progress.say("QEMU and the images are made");
    let accel = args.accel.resolve(&files)?;
    let assets = Assets::with(binaries)?;
    interrupt.check()?;

    let booted = Instant::now();
    let chain = start(assets.clone(), args, accel, progress)?;
    let dir = chain.host().paths().dir().path().to_owned();
    interrupt.check()?;
    let since = |what: &str| {
        format!(
            "{what} {:.1} s after the command, {:.1} s after the start of the VMs",
            started.elapsed().as_secs_f64(),
            booted.elapsed().as_secs_f64()
        )
    };
    let programs = match args.compositor {
        Some(_) => {
            let programs = foreign::start_programs(&chain, progress)?;
            progress.say(&since("all windows are drawn"));
            programs
        }
        None => start_programs(&chain, progress, || since("first labelled pixel"))?,
    };
    let screenshot = match &args.compositor {
        Some(name) => format!("demo-{}.png", name.replace(['/', ' '], "-")),
        None => "demo-vm.png".to_owned(),
    };
    let screenshot = args.screenshot(&screenshot)?;
    chain.screen()?.picture(&screenshot)?;
    progress.say(&format!("screenshot: {}", screenshot.display()));
    figures(&chain, &assets, image.guest())?;
    if args.keep {
        keep(&chain, interrupt, progress)?;
    }
    for program in programs {
        program.stop()?;
    }
    progress.say("programs have ended");
    chain.stop()?;
    progress.say("all guests have powered off, all daemons have ended and removed their sockets");
    before.nothing_left(&dir)?;
    progress.say("no process, descriptor or file is left");
    println!("{}", screenshot.display());
    Ok(())
}

/// Starts the host's daemons and the guests; these boot at the same time.
fn start(assets: Assets, args: &Args, accel: &str, progress: &mut Progress) -> Result<VmChain> {
    let display = match args.display.as_deref() {
        Some("vnc") => Display::Vnc,
        Some(kind) => Display::Window(kind.to_owned()),
        None if args.keep => Display::Vnc,
        None => Display::None,
    };
    let mut builder = VmChainBuilder::new(assets);
    if let Some(name) = &args.compositor {
        let argv: Vec<&str> = name.split_whitespace().collect();
        builder = builder.compositor(&argv);
    }
    let mut chain = builder
        .accel(accel.parse()?)
        .app(PERSONAL.0, PERSONAL.1)
        .app(WORK.0, WORK.1)
        .size(SCREEN.0, SCREEN.1)
        .display(display)
        .endless()
        .prepare()?;
    progress.say("memory server, devices and accept proxy are ready");
    chain.spawn_compositor()?;
    let apps = chain.app_names().count();
    for index in 0..apps {
        chain.spawn_app(index)?;
    }
    progress.say(&format!("{} guests boot ({accel})", apps + 1));
    let names = ["compositor", PERSONAL.0, WORK.0];
    for (name, vm) in names.iter().zip(chain.vms()) {
        let kernel = vm.wait_booted()?;
        progress.say(&format!("VM {name}: Linux {kernel} has booted"));
    }
    for (name, vm) in names.iter().zip(chain.vms()) {
        vm.wait_ready()?;
        progress.say(&format!("VM {name} is ready"));
    }
    Ok(chain)
}

/// Starts foot and the GTK program, and waits until both are drawn.
fn start_programs(
    chain: &VmChain,
    progress: &mut Progress,
    first_pixel: impl FnOnce() -> String,
) -> Result<Vec<Program>> {
    let (personal, work) = (chain.app(PERSONAL.0)?, chain.app(WORK.0)?);
    personal.write_file(CONFIG_PATH, FOOT_CONFIG)?;
    let config = format!("--config={CONFIG_PATH}");
    let foot = personal.run(["foot", &config, "sh", "-c", FOOT_SCRIPT])?;
    let gtk = work.run([GTK_PROGRAM])?;
    let screen = chain.screen()?;
    let path = chain.host().paths().dir().join("screen.png");

    let windows = screen.ctl().wait(["windows", "1"]);
    windows.with_context(|| format!("{}\n{}", foot.story(), gtk.story()))?;
    labelled(&screen, &path)?;
    progress.say(&first_pixel());
    let found = screen.ctl().wait_title(PERSONAL.0, "personal terminal");
    drawn(&screen, &path, &found.with_context(|| foot.story())?)?;
    progress.say("app VM personal: foot has a window with text");
    let found = screen.ctl().wait_title(WORK.0, "");
    drawn(&screen, &path, &found.with_context(|| gtk.story())?)?;
    progress.say(&format!("app VM work: {GTK_PROGRAM} has a window"));
    Ok(vec![foot, gtk])
}

/// Waits until a pixel of a VM's colour is on the screen.
fn labelled(screen: &VmScreen<'_>, path: &Path) -> Result<()> {
    let colours = [colour(PERSONAL.1)?, colour(WORK.1)?];
    screen::wait_picture(screen, "a labelled window", path, |picture| {
        colours.iter().any(|colour| picture.count(*colour) > 0)
    })
    .map(drop)
}

/// `#rrggbb` as a pixel.
fn colour(text: &str) -> Result<[u8; 3]> {
    let number = u32::from_str_radix(text.trim_start_matches('#'), 16).context("colour")?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok([red, green, blue])
}

/// Waits until a window's content is there and stays.
fn drawn(screen: &VmScreen<'_>, path: &Path, window: &Window) -> Result<()> {
    let area = window.content()?;
    let mut last = None;
    screen::wait_picture(screen, "a drawn window", path, |picture| {
        let Ok(content) = picture.crop(area.x, area.y, area.width, area.height) else {
            return false;
        };
        let settled = last.as_ref() == Some(&content) && content.colours() > PLAIN;
        last = Some(content);
        settled
    })
    .map(drop)
}

/// Memory of the guests and sizes of the images.
fn figures(chain: &VmChain, assets: &Assets, compositor: Guest) -> Result<()> {
    for vm in chain.vms() {
        let resident = vm.resident_kib()? / 1024;
        println!("     {:<22} {resident:5} MiB resident", vm.qemu().name());
    }
    for image in [compositor, Guest::App] {
        let files = assets.image(image);
        let size = files.bytes()? / MIB;
        let initramfs = files.initramfs.metadata().context("image")?.len() / MIB;
        println!(
            "     image {:<16} {size:5} MiB, of which the initial RAM file system {initramfs} MiB",
            image.name()
        );
    }
    Ok(())
}

/// Stays until Ctrl-C, or until a part ends by itself.
fn keep(chain: &VmChain, interrupt: &Interrupt, progress: &mut Progress) -> Result<()> {
    let compositor = chain.compositor()?;
    progress.say("running until Ctrl-C");
    if let Some(port) = compositor.monitor().vnc_port()? {
        println!("     look at it, type and click:  vncviewer 127.0.0.1::{port}");
    }
    println!(
        "     chain in {}",
        chain.host().paths().dir().path().display()
    );
    for vm in chain.vms() {
        let console = vm.paths().console();
        println!(
            "     console of {}: socat -,raw,echo=0 unix-connect:{}",
            vm.qemu().name(),
            console.display()
        );
    }
    let qemus = chain.vms().map(Vm::qemu);
    super::stay(chain.host().daemons().chain(qemus), interrupt)
}
