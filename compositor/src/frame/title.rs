//! Window titles: the one text of a frame that a client chooses.

/// Longest title shown, in characters: more than fits any title bar that is
/// read by a person, and a bound on the work a client can cause.
pub const MAX_TITLE_CHARS: usize = 96;

/// Characters looked at before giving up, so that a megabyte of control
/// characters costs no more than a real title.
const MAX_SCANNED_CHARS: usize = 512;

/// What stands for a character that is not shown.
const REPLACEMENT: char = '?';

/// A title reduced to what a frame may show.
///
/// Kept: letters, digits and punctuation of ASCII, Latin-1 and Latin Extended-A,
/// which is what the bundled font has. Everything else (controls, combining
/// marks, bidirectional overrides, private use, other scripts) becomes one `?`
/// per run; white space becomes single spaces without leading or trailing
/// ones, so that a title cannot push text apart to look like two labels.
#[must_use]
pub fn sanitise(title: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut last = ' ';
    for c in title.chars().take(MAX_SCANNED_CHARS) {
        let c = match c {
            c if c.is_whitespace() => ' ',
            c if is_shown(c) => c,
            _ => REPLACEMENT,
        };
        if (c == ' ' || c == REPLACEMENT) && c == last {
            continue;
        }
        if length == MAX_TITLE_CHARS {
            break;
        }
        out.push(c);
        length += 1;
        last = c;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether a character is shown as itself. All of these stand alone: none
/// combines, joins, mirrors or changes direction.
fn is_shown(c: char) -> bool {
    matches!(c,
        '\u{21}'..='\u{7e}'
        | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{17f}'
        | '\u{2013}' | '\u{2014}' | '\u{2018}'..='\u{201f}' | '\u{2022}' | '\u{2026}' | '\u{20ac}')
}
