//! Keys from the compositor VM's own keyboard to a terminal anywhere.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration_tests::vm::{Program, STEP, Vm, keys};
use integration_tests::wait::{self, Deadline};

use super::{SMALL, terminal};

/// Tells of each key before the first line feed, and then shows each key and what it is.
const TELL_KEYS: &str = r#"
    exec 3>"$0"
    until IFS= read -rsn1 key && [ -z "$key" ]; do echo early >&3; done
    echo ready >&3
    printf '> '
    while IFS= read -rsn1 key; do printf '%s' "$key"; printf '%s\n' "$key" >&3; done"#;
/// Where it tells.
const FIFO: &str = "/tmp/keys";

/// How long a key has to arrive before another is tried.
const PRESS_AGAIN: Duration = Duration::from_secs(1);

/// A terminal that has the keyboard.
#[derive(Debug)]
pub struct Typing {
    terminal: Program,
    told: Program,
}

impl Typing {
    /// Opens a terminal in `vm`, and waits until the compositor of `screen` has given it the keyboard.
    ///
    /// # Errors
    /// When it does not get it.
    pub fn start(vm: &Vm, screen: &Vm, background: &str) -> Result<Self> {
        vm.run(["sh", "-c", r#"rm -f "$0" && mkfifo "$0""#, FIFO])?
            .success()?;
        let told = vm.run(["cat", FIFO])?;
        let terminal = terminal(vm, SMALL, background, &["bash", "-c", TELL_KEYS, FIFO])?;
        let typing = Self { terminal, told };
        let found = typing.wait_keyboard(screen);
        found.map_err(|error| error.context(typing.terminal.story()))?;
        Ok(typing)
    }

    /// Presses a key now and then until one arrives: there is nobody to be asked where keys go.
    fn wait_keyboard(&self, screen: &Vm) -> Result<()> {
        let mut pressed: Option<Instant> = None;
        wait::until("the keyboard", Deadline::after(STEP), || {
            if pressed.is_none_or(|at| at.elapsed() >= PRESS_AGAIN) {
                screen.monitor().chord(&["x"])?;
                pressed = Some(Instant::now());
            }
            self.told.waiting_line()
        })?;
        screen.monitor().chord(&["ret"])?;
        while self.told.line()? != "ready" {}
        Ok(())
    }

    /// Types a text on the keyboard of `screen`, no faster than the terminal gets it: keyboards drop
    /// what is not fetched in time.
    ///
    /// # Errors
    /// When a character does not arrive, or another does.
    pub fn type_text(&self, screen: &Vm, text: &str) -> Result<()> {
        for character in text.chars() {
            let chord = keys::chord(character)?;
            let chord: Vec<&str> = chord.iter().map(String::as_str).collect();
            screen.monitor().chord(&chord)?;
            let told = self.told.line()?;
            ensure!(
                told == character.to_string(),
                "{told:?} arrived instead of {character:?}"
            );
        }
        Ok(())
    }

    /// Ends the terminal.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(self) -> Result<()> {
        self.terminal.stop()?;
        self.told.wait().map(drop)
    }
}
