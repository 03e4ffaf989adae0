use super::*;

/// All bytes, with a `|` where a host begins.
fn sorted(text: &str) -> String {
    let mut greeting = Greeting::default();
    let mut out = Vec::new();
    for byte in text.bytes() {
        match greeting.next(byte) {
            Piece::Part => {}
            Piece::Bytes(bytes) => out.extend(bytes),
            Piece::Hello(bytes) => {
                out.push(b'|');
                out.extend(bytes);
            }
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_pass_unchanged() {
    let text = "{\"windows\":{}}\n\n{\"he\n{{\"hello\":1}\n {\"hello\":2}\n";
    assert_eq!(sorted(text), text);
}

#[test]
fn a_host_begins_with_its_greeting() {
    assert_eq!(
        sorted("{\"hello\":1}\n{\"stats\":{}}\n{\"hello\":2}\n"),
        "|{\"hello\":1}\n{\"stats\":{}}\n|{\"hello\":2}\n"
    );
}

#[test]
fn a_greeting_is_seen_after_a_line_that_was_cut() {
    assert_eq!(
        sorted("{\"win\n{\"hello\":2}\n"),
        "{\"win\n|{\"hello\":2}\n"
    );
}

#[test]
fn a_greeting_in_the_middle_of_a_line_is_none() {
    let text = "{\"input\":{\"type\":\"{\"hello\":\"}}\n";
    assert_eq!(sorted(text), text);
}
