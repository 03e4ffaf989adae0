//! A program and its arguments as one word of the kernel's command line.

use std::fmt::Write;

/// Writes a program and its arguments as the value of `vwl.run=`.
///
/// Each word is percent-encoded, the words are joined by blanks, and the whole is percent-encoded
/// again. For plain words that is just `foot%20--maximized`.
#[must_use]
pub fn encode_command<S: AsRef<str>>(argv: &[S]) -> String {
    let words: Vec<_> = argv.iter().map(|word| encode(word.as_ref())).collect();
    encode(&words.join(" "))
}

/// Reads what [`encode_command`] wrote, and what a person wrote in its place: a percent sign that
/// begins no pair of hexadecimal digits stands for itself. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn decode_command(text: &str) -> Vec<String> {
    let whole = decode(text);
    whole
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(decode)
        .collect()
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./=:,@+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| {
            after
                .get(at)
                .and_then(|&digit| char::from(digit).to_digit(16))
        };
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits are at most 255.
                bytes.extend(u8::try_from(high * 16 + low));
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
