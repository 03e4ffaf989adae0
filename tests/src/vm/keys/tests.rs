use super::*;

#[test]
fn every_printable_character_of_ascii_has_its_keys() {
    for character in (' '..='~').chain(['\n', '\t']) {
        assert!(chord(character).is_ok(), "{character:?}");
    }
    assert_eq!(chord('A').unwrap(), ["shift", "a"]);
    assert_eq!(chord('!').unwrap(), ["shift", "1"]);
    assert_eq!(chord('?').unwrap(), ["shift", "slash"]);
    assert_eq!(chord('/').unwrap(), ["slash"]);
    assert!(chord('ä').is_err());
}
