//! Text as keys of a keyboard with the US layout, by QEMU's names of keys (`QKeyCode`).

use anyhow::{Context as _, Result};

#[cfg(test)]
mod tests;

/// The keys for punctuation: without and with shift, and the key's name.
const PUNCTUATION: [(char, char, &str); 11] = [
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    ('\\', '|', "backslash"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    ('`', '~', "grave_accent"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
];

/// What shift makes of the digits 0 to 9.
const SHIFTED_DIGITS: &str = ")!@#$%^&*(";

/// The chord that types `character`.
///
/// # Errors
/// When no key does.
pub fn chord(character: char) -> Result<Vec<String>> {
    let plain = |name: &str| vec![name.to_owned()];
    let shifted = |name: &str| vec!["shift".to_owned(), name.to_owned()];
    let named = PUNCTUATION
        .iter()
        .find(|(lower, upper, _)| [*lower, *upper].contains(&character));
    Ok(match character {
        'a'..='z' | '0'..='9' => plain(&character.to_string()),
        'A'..='Z' => shifted(&character.to_ascii_lowercase().to_string()),
        ' ' => plain("spc"),
        '\n' => plain("ret"),
        '\t' => plain("tab"),
        _ => match named {
            Some((lower, _, name)) if *lower == character => plain(name),
            Some((_, _, name)) => shifted(name),
            None => {
                let digit = SHIFTED_DIGITS.chars().position(|shift| shift == character);
                shifted(&digit.context("no key types this character")?.to_string())
            }
        },
    })
}
