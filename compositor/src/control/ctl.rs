//! `virtio-wl-compositor ctl`: the control socket from a shell.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::protocol::{Area, Condition, Input, Kind, Reply, Request, Window};
use super::{Client, protocol};
use crate::args::{CtlAction, CtlArgs, Half, InputArg, WaitArg};
use crate::frame::title;
use crate::screenshot::write_png;

/// Pointer buttons by name, as in `linux/input-event-codes.h`.
const BUTTONS: [(&str, u32); 3] = [("left", 0x110), ("right", 0x111), ("middle", 0x112)];

/// One notch of a wheel, as `wl_pointer.axis_value120` counts.
const NOTCH: f64 = 120.0;

/// Runs one `ctl` command, writing what it prints to `out`.
///
/// # Errors
/// When the compositor cannot be reached or refuses; the text is for people.
pub fn run(args: CtlArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let control = args
        .control
        .context("which compositor? say --control PATH")?;
    let request = request(&args.action)?;
    let mut client = Client::connect(&control)?;
    match args.action {
        CtlAction::Screenshot { file } => return screenshot(&mut client, &file, out),
        CtlAction::Windows { json } => {
            let (Reply::Windows(windows), _) = client.request(&request)? else {
                bail!("not a list of windows")
            };
            if json {
                print_json(&windows, out)?;
            } else {
                print_table(&windows, out)?;
            }
        }
        CtlAction::Stats => {
            let (Reply::Stats(stats), _) = client.request(&request)? else {
                bail!("not counters")
            };
            print_json(&stats, out)?;
        }
        CtlAction::Input { .. } | CtlAction::Wait { .. } | CtlAction::Quit => {
            client.request(&request)?;
        }
    }
    Ok(())
}

/// The request of a command line.
fn request(action: &CtlAction) -> anyhow::Result<Request> {
    Ok(match action {
        CtlAction::Screenshot { .. } => Request::Screenshot {},
        CtlAction::Windows { .. } => Request::Windows {},
        CtlAction::Stats => Request::Stats {},
        CtlAction::Quit => Request::Quit {},
        CtlAction::Input { act } => Request::Input(input(act)?),
        CtlAction::Wait { until, timeout } => {
            let timeout_ms = (timeout * 1000.0).round();
            let range = 0.0..=protocol::MAX_WAIT_MS as f64;
            ensure!(
                range.contains(&timeout_ms),
                "--timeout must be from 0 to {} seconds",
                range.end() / 1000.0
            );
            // In the range just checked.
            Request::Wait {
                until: condition(until),
                timeout_ms: timeout_ms as u64,
            }
        }
    })
}

fn input(act: &InputArg) -> anyhow::Result<Input> {
    Ok(match act {
        InputArg::Key { key, half } => Input::Key {
            key: key.clone(),
            pressed: pressed(*half),
        },
        InputArg::Type { text } => Input::Type { text: text.clone() },
        InputArg::Move { x, y } => {
            ensure!(
                x.is_finite() && y.is_finite(),
                "a position needs two finite numbers"
            );
            Input::Move { x: *x, y: *y }
        }
        InputArg::Button { button, half } => Input::Button {
            code: button_code(button)?,
            pressed: pressed(*half),
        },
        InputArg::Axis {
            vertical,
            horizontal,
        } => Input::Axis {
            horizontal: notches(*horizontal)?,
            vertical: notches(*vertical)?,
        },
    })
}

fn pressed(half: Option<Half>) -> Option<bool> {
    half.map(|half| half == Half::Press)
}

fn button_code(button: &str) -> anyhow::Result<u32> {
    let named = BUTTONS
        .iter()
        .find(|(name, _)| *name == button)
        .map(|(_, code)| *code);
    named
        .or_else(|| button.parse().ok())
        .context("a button is left, right, middle or a Linux button code")
}

fn notches(notches: f64) -> anyhow::Result<i32> {
    const MOST: f64 = 1000.0;
    ensure!(notches.abs() <= MOST, "at most {MOST} notches at a time");
    // At most 120,000.
    Ok((notches * NOTCH).round() as i32)
}

fn condition(until: &WaitArg) -> Condition {
    match until {
        WaitArg::Windows {
            count,
            vm,
            title,
            exactly,
        } => Condition::Windows {
            count: *count,
            vm: vm.clone(),
            title: title.clone(),
            exactly: *exactly,
        },
        WaitArg::Idle => Condition::Idle {},
        WaitArg::Quiet { milliseconds } => Condition::Quiet { ms: *milliseconds },
        WaitArg::Frames { count } => Condition::Frames { count: *count },
    }
}

/// The file is written with the rights of whoever runs `ctl`, not of the compositor.
fn screenshot(client: &mut Client, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let picture = client.screenshot()?;
    if file.as_os_str() == "-" {
        return write_png(&picture, out).context("cannot write the picture");
    }
    let context = || format!("cannot write {}", file.display());
    let mut writer = BufWriter::new(File::create(file).with_context(context)?);
    write_png(&picture, &mut writer)
        .and_then(|()| writer.flush())
        .with_context(context)
}

fn print_json(value: &impl serde::Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// One line a window. Titles are a client's choice and must not control the
/// terminal: they are reduced as on a frame.
fn print_table(windows: &[Window], out: &mut impl Write) -> io::Result<()> {
    let header = ["VM", "WINDOW", "KIND", "CONTENT", "FRAME", "FOCUS", "TITLE"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(header)
        .chain(windows.iter().map(row))
        .collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(window: &Window) -> [String; 7] {
    [
        window.vm.clone(),
        window.window.to_string(),
        match window.kind {
            Kind::Toplevel => "toplevel".to_owned(),
            Kind::Popup => "popup".to_owned(),
        },
        area(window.content),
        area(window.frame),
        if window.focused {
            "yes".to_owned()
        } else {
            "-".to_owned()
        },
        title::sanitise(&window.title),
    ]
}

/// `WIDTHxHEIGHT+X+Y`, as X11 geometry is written.
fn area(area: Area) -> String {
    format!("{}x{}{:+}{:+}", area.width, area.height, area.x, area.y)
}
