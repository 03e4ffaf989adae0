use anyhow::Result;
use integration_tests::dir::TestDir;

use super::{PART, difference, same_packages};
use crate::vm::cache;

#[test]
fn the_first_difference_is_found() -> Result<()> {
    let dir = TestDir::new()?;
    let long = vec![7; usize::try_from(PART)? + 10];
    let mut other = long.clone();
    other[usize::try_from(PART)? + 3] = 8;
    for (name, bytes) in [
        ("long", &long[..]),
        ("other", &other),
        ("short", &long[..5]),
    ] {
        cache::write(&dir.join(name), bytes)?;
    }
    let difference = |first, second| difference(&dir.join(first), &dir.join(second));
    assert_eq!(difference("long", "long")?, None);
    assert_eq!(difference("long", "other")?, Some(PART + 3));
    assert_eq!(difference("short", "long")?, Some(5));
    Ok(())
}

#[test]
fn changed_packages_are_named() {
    let list = |version: &str| {
        vec![
            ("bash".to_owned(), "5.2".to_owned()),
            ("foot".to_owned(), version.to_owned()),
        ]
    };
    same_packages(&list("1.13"), &list("1.13")).unwrap();
    let error = same_packages(&list("1.13"), &list("1.14")).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("foot 1.14 instead of foot 1.13"), "{error}");
    assert!(!error.contains("bash"), "{error}");
}
