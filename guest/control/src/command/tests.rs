//! What people and programs write.

use super::{decode_command, encode_command};

#[test]
fn plain_words() {
    assert_eq!(encode_command(&["foot", "--title=a"]), "foot%20--title=a");
    assert_eq!(decode_command("foot%20--title=a"), ["foot", "--title=a"]);
}

#[test]
fn any_words() {
    let argv = ["sh", "-c", "echo \"50% of ä\"\n%41 | wc"];
    assert_eq!(decode_command(&encode_command(&argv)), argv);
}

#[test]
fn written_by_hand() {
    assert_eq!(decode_command("a%20%20b"), ["a", "b"]);
    assert_eq!(decode_command("100%"), ["100%"]);
    assert_eq!(decode_command("%4"), ["%4"]);
    assert_eq!(decode_command("%zz%ff"), ["%zz\u{fffd}"]);
    assert_eq!(decode_command(""), [""; 0]);
}
