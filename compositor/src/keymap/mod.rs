//! From text and key names to the key codes that type them.
//!
//! The tables come from the keymap the compositor gives its clients, so that
//! what `ctl input type` presses means to a client what it was meant to mean.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use smithay::input::keyboard::{Keycode, Keysym, XkbConfig, xkb};

/// Difference between Linux input event codes and xkb key codes.
const EVDEV_OFFSET: u32 = 8;
/// Last key code a Linux input device can have (`KEY_MAX`).
const MAX_CODE: u32 = 0x2ff;

/// A press or release of one key, Linux input event code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAct {
    /// Linux input event code.
    pub code: u32,
    /// Down or up.
    pub pressed: bool,
}

/// What cannot be typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// The keymap did not compile.
    #[error("the keymap does not compile; is xkb-data installed?")]
    Compile,
    /// No combination of keys gives this character.
    #[error("no key of this keymap gives {0:?}")]
    Character(char),
    /// Neither a key symbol of this keymap nor a code.
    #[error("{0:?} is neither a key of this keymap nor a key code from 1 to {MAX_CODE}")]
    Key(String),
}

/// Knows which keys to press for which text.
pub struct Typist {
    characters: HashMap<char, Chord>,
    symbols: HashMap<Keysym, u32>,
}

/// Modifier keys to hold, and the key to press meanwhile.
#[derive(Clone, Copy, Debug)]
struct Chord {
    held: &'static [Keysym],
    code: u32,
}

/// Modifiers tried for each character, the plainest first.
const HELD: [&[Keysym]; 4] = [
    &[],
    &[Keysym::Shift_L],
    &[Keysym::ISO_Level3_Shift],
    &[Keysym::Shift_L, Keysym::ISO_Level3_Shift],
];

/// Names for the modifiers of a chord such as `ctrl+c`.
const MODIFIERS: [(&str, Keysym); 5] = [
    ("shift", Keysym::Shift_L),
    ("ctrl", Keysym::Control_L),
    ("alt", Keysym::Alt_L),
    ("super", Keysym::Super_L),
    ("altgr", Keysym::ISO_Level3_Shift),
];

impl Typist {
    /// Reads the tables out of the keymap that `config` describes.
    ///
    /// # Errors
    /// When the keymap does not compile.
    pub fn new(config: &XkbConfig<'_>) -> Result<Self, KeymapError> {
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        let keymap = xkb::Keymap::new_from_names(
            &context,
            config.rules,
            config.model,
            config.layout,
            config.variant,
            config.options.clone(),
            xkb::KEYMAP_COMPILE_NO_FLAGS,
        )
        .ok_or(KeymapError::Compile)?;
        let symbols = symbols(&keymap);
        let characters = characters(&keymap, &symbols);
        Ok(Self {
            characters,
            symbols,
        })
    }

    /// The presses and releases that type `text`, each key released before the next.
    ///
    /// # Errors
    /// When a character is on no key; then nothing is to be pressed at all.
    pub fn text(&self, text: &str) -> Result<Vec<KeyAct>, KeymapError> {
        let mut acts = Vec::new();
        for c in text.chars() {
            let chord = self.characters.get(&c).ok_or(KeymapError::Character(c))?;
            let mut codes: Vec<u32> = chord
                .held
                .iter()
                .map(|symbol| self.symbols[symbol])
                .collect();
            codes.push(chord.code);
            acts.extend(press_and_release(&codes));
        }
        Ok(acts)
    }

    /// The keys of `a`, `Return`, `30` or `ctrl+shift+c`, in the order to press them.
    ///
    /// A name is a key symbol of xkb (without modifiers), a number is a Linux
    /// input event code. A single digit is the key with that digit.
    ///
    /// # Errors
    /// When a part names no key.
    pub fn keys(&self, names: &str) -> Result<Vec<u32>, KeymapError> {
        let parts: Vec<&str> = if names.len() > 1 {
            names.split('+').collect()
        } else {
            vec![names]
        };
        parts.into_iter().map(|name| self.key(name)).collect()
    }

    fn key(&self, name: &str) -> Result<u32, KeymapError> {
        let unknown = || KeymapError::Key(name.to_owned());
        if let Some((_, symbol)) = MODIFIERS.iter().find(|(modifier, _)| *modifier == name) {
            return self.symbols.get(symbol).copied().ok_or_else(unknown);
        }
        if name.len() > 1 && name.bytes().all(|b| b.is_ascii_digit()) {
            return name
                .parse()
                .ok()
                .filter(|code| (1..=MAX_CODE).contains(code))
                .ok_or_else(unknown);
        }
        // The C function behind takes a NUL-terminated string.
        if name.contains('\0') {
            return Err(unknown());
        }
        let symbol = xkb::keysym_from_name(name, xkb::KEYSYM_NO_FLAGS);
        let mut single = name.chars();
        match (self.symbols.get(&symbol), single.next(), single.next()) {
            (Some(code), ..) => Ok(*code),
            (None, Some(c), None) => self
                .characters
                .get(&c)
                .map(|chord| chord.code)
                .ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}

/// All presses in order, then all releases in reverse order.
#[must_use]
pub fn press_and_release(codes: &[u32]) -> Vec<KeyAct> {
    let down = codes.iter().map(|&code| KeyAct {
        code,
        pressed: true,
    });
    let up = codes.iter().rev().map(|&code| KeyAct {
        code,
        pressed: false,
    });
    down.chain(up).collect()
}

/// Key codes of a keymap that a Linux input device can send.
fn key_codes(keymap: &xkb::Keymap) -> impl Iterator<Item = u32> + use<> {
    let first = keymap
        .min_keycode()
        .raw()
        .saturating_sub(EVDEV_OFFSET)
        .max(1);
    first
        ..=keymap
            .max_keycode()
            .raw()
            .saturating_sub(EVDEV_OFFSET)
            .min(MAX_CODE)
}

/// Symbol without modifiers to key code; the lowest code wins.
fn symbols(keymap: &xkb::Keymap) -> HashMap<Keysym, u32> {
    let mut symbols = HashMap::new();
    for code in key_codes(keymap) {
        for symbol in keymap.key_get_syms_by_level(Keycode::new(code + EVDEV_OFFSET), 0, 0) {
            symbols.entry(*symbol).or_insert(code);
        }
    }
    symbols
}

/// Character to chord, found by trying every key under every set of modifiers
/// on a keyboard state of our own: that asks xkb itself what the keys mean.
fn characters(keymap: &xkb::Keymap, symbols: &HashMap<Keysym, u32>) -> HashMap<char, Chord> {
    let mut characters = HashMap::new();
    for held in HELD {
        let Some(modifiers) = held
            .iter()
            .map(|symbol| symbols.get(symbol))
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let mut state = xkb::State::new(keymap);
        for code in modifiers {
            state.update_key(Keycode::new(code + EVDEV_OFFSET), xkb::KeyDirection::Down);
        }
        for code in key_codes(keymap) {
            let symbol = state.key_get_one_sym(Keycode::new(code + EVDEV_OFFSET));
            // The keypad gives the same characters, but depends on Num Lock.
            let keypad = symbol.name().is_some_and(|name| name.starts_with("XK_KP_"));
            let c = match symbol {
                Keysym::Return => Some('\n'),
                _ => symbol.key_char(),
            };
            if let Some(c) = c.filter(|_| !keypad) {
                characters.entry(c).or_insert(Chord { held, code });
            }
        }
    }
    characters
}

impl fmt::Debug for Typist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typist")
            .field("characters", &self.characters.len())
            .finish_non_exhaustive()
    }
}
