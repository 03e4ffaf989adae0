use std::num::ParseIntError;

use super::*;

fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}

#[test]
fn a_file_is_checked_and_an_error_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let error = load(&path, parse).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
    std::fs::write(&path, "no number").unwrap();
    let error = load(&path, parse).unwrap_err();
    assert!(matches!(error, LoadError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    std::fs::write(&path, "7").unwrap();
    assert_eq!(load(&path, parse).unwrap(), 7);
}

#[test]
fn an_unusable_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(&path, "no number").unwrap();
    reload(&path, parse, |_| panic!("applied"));
    std::fs::write(&path, "7").unwrap();
    let mut applied = None;
    reload(&path, parse, |number| applied = Some(number));
    assert_eq!(applied, Some(7));
}
