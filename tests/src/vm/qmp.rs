//! QEMU's monitor: lines of JSON in both directions (QEMU's `docs/interop/qmp-spec.rst`).

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::lines::Lines;
use super::qemu::{
    WL_CHARDEV, WL_DEVICE, WL_DRIVER, WL_PORT, WL_QUEUE_SIZE, WL_QUEUES, WL_VIRTIO_ID,
};
use crate::wait::Deadline;

/// Longest line of QEMU in bytes; the longest answer asked for here has a few hundred.
pub(super) const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Events kept until somebody asks for them; older ones go. None is frequent.
const MAX_EVENTS: usize = 256;

/// A pointer's position is a fraction of this, in both directions.
const ABSOLUTE_MAX: u64 = 0x7fff;

/// The monitor of one running QEMU.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Takes the greeting and leaves negotiation mode. QEMU has opened all its sockets by then.
    pub(super) fn new(lines: Lines, deadline: Deadline) -> Result<Self> {
        let mut qmp = Self {
            lines,
            events: VecDeque::new(),
        };
        let greeting = qmp.next(deadline)?;
        ensure!(greeting.get("QMP").is_some(), "not a monitor: {greeting}");
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    fn next(&mut self, deadline: Deadline) -> Result<Value> {
        let line = self.lines.next(deadline)?.context("QEMU has ended")?;
        serde_json::from_slice(&line).context("line of QEMU's monitor")
    }

    fn keep(&mut self, event: Value) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Runs one command; its return value.
    ///
    /// # Errors
    /// When QEMU refuses, with its reason, or does not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = if arguments.as_object().is_some_and(|map| map.is_empty()) {
            json!({ "execute": command })
        } else {
            json!({ "execute": command, "arguments": arguments })
        };
        self.lines.say(&request)?;
        let deadline = Deadline::after(super::STEP);
        loop {
            let mut answer = self.next(deadline).with_context(|| command.to_owned())?;
            if answer.get("event").is_some() {
                self.keep(answer);
            } else if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            } else {
                bail!("{command}: {}", answer["error"]["desc"]);
            }
        }
    }

    /// Waits for the event `name` whose data are as `accept` wants them; earlier ones count.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_event(
        &mut self,
        name: &str,
        mut accept: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        let mut wanted = |event: &Value| event["event"] == name && accept(&event["data"]);
        if let Some(at) = self.events.iter().position(&mut wanted) {
            let event = self.events.remove(at);
            return event.context("the event just found");
        }
        let deadline = Deadline::after(super::STEP);
        loop {
            let event = self
                .next(deadline)
                .with_context(|| format!("event {name}"))?;
            if wanted(&event) {
                return Ok(event);
            }
            self.keep(event);
        }
    }

    /// Writes the screen as PNG to `path`.
    ///
    /// # Errors
    /// When QEMU or the file refuses.
    pub fn screendump(&mut self, path: &Path) -> Result<()> {
        let filename = path.to_str().context("path of the screenshot")?;
        let arguments = json!({ "filename": filename, "format": "png", "device": "gpu" });
        self.execute("screendump", arguments).map(drop)
    }

    /// Presses all keys in order, then releases them in reverse: a chord. Names are QEMU's key
    /// codes (`a`, `shift`, `ret`).
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn chord(&mut self, keys: &[&str]) -> Result<()> {
        let key = |key: &str, down: bool| json!({ "type": "key", "data": { "down": down, "key": { "type": "qcode", "data": key } } });
        let down = keys.iter().map(|name| key(name, true));
        let up = keys.iter().rev().map(|name| key(name, false));
        self.input(down.chain(up).collect())
    }

    /// Moves the pointer to `x`, `y` of a screen of `size` pixels.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn pointer(&mut self, (x, y): (u32, u32), size: (u32, u32)) -> Result<()> {
        let axis = |axis: &str, at: u32, size: u32| {
            // Rounded up: the guest rounds down, and shall get the pixel asked for.
            let value = (u64::from(at) * ABSOLUTE_MAX).div_ceil(u64::from(size.max(2) - 1));
            json!({ "type": "abs", "data": { "axis": axis, "value": value } })
        };
        self.input(vec![axis("x", x, size.0), axis("y", y, size.1)])
    }

    /// Presses and releases a button (`left`, `right`, `middle`, `wheel-up`, …).
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn click(&mut self, button: &str) -> Result<()> {
        for down in [true, false] {
            let event = json!({ "type": "btn", "data": { "down": down, "button": button } });
            self.input(vec![event])?;
        }
        Ok(())
    }

    fn input(&mut self, events: Vec<Value>) -> Result<()> {
        self.execute("input-send-event", json!({ "events": events }))
            .map(drop)
    }

    /// Takes the virtio_wl device out, and waits until the guest has let it go.
    ///
    /// # Errors
    /// When QEMU refuses or the guest does not let go.
    pub fn unplug_wl(&mut self) -> Result<()> {
        self.execute("device_del", json!({ "id": WL_DEVICE }))?;
        self.wait_event("DEVICE_DELETED", |data| data["device"] == WL_DEVICE)?;
        self.execute("chardev-remove", json!({ "id": WL_CHARDEV }))
            .map(drop)
    }

    /// Puts in a virtio_wl device whose vhost-user socket is `socket`.
    ///
    /// # Errors
    /// When QEMU refuses, or nobody listens there.
    pub fn plug_wl(&mut self, socket: &Path) -> Result<()> {
        let path = socket.to_str().context("path of the device")?;
        let address = json!({ "type": "unix", "data": { "path": path } });
        let backend = json!({ "type": "socket", "data": { "addr": address, "server": false } });
        self.execute(
            "chardev-add",
            json!({ "id": WL_CHARDEV, "backend": backend }),
        )?;
        let device = json!({
            "driver": WL_DRIVER, "id": WL_DEVICE, "bus": WL_PORT, "chardev": WL_CHARDEV,
            "virtio-id": WL_VIRTIO_ID, "num_vqs": WL_QUEUES, "vq_size": WL_QUEUE_SIZE,
            "config_size": 0,
        });
        self.execute("device_add", device).map(drop)
    }

    /// Port of the VNC server, when there is one.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn vnc_port(&mut self) -> Result<Option<u16>> {
        let servers = self.execute("query-vnc-servers", json!({}))?;
        let port = servers[0]["server"][0]["service"].as_str();
        Ok(port.and_then(|port| port.parse().ok()))
    }

    /// Ends QEMU at once.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn quit(&mut self) -> Result<()> {
        self.execute("quit", json!({})).map(drop)
    }
}
