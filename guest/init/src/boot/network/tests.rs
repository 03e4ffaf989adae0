//! Names of guests.

use guest_control::Role;

use super::{choose, is_name};

#[test]
fn the_first_good_one() {
    assert_eq!(choose(Some("work"), "image\n", Role::App), "work");
    assert_eq!(choose(None, "image\n", Role::App), "image");
    assert_eq!(choose(Some("no good"), "# no\nimage\n", Role::App), "image");
    assert_eq!(choose(None, "", Role::App), "app");
}

#[test]
fn what_names_are_made_of() {
    for good in ["a", "personal", "my_vm-2.local", &"x".repeat(64)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-a", ".a", "a b", "caf\u{e9}", "a/b", &"x".repeat(65)] {
        assert!(!is_name(bad), "{bad}");
    }
}
