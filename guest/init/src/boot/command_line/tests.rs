//! Whole command lines.

use guest_control::Role;
use proptest::prelude::*;

use super::CommandLine;

#[test]
fn of_an_app() {
    let line = CommandLine::parse(
        "console=ttyS0 quiet vwl.role=app vwl.run=foot%20-T%20a=b vwl.run=weston-flower vwl.hostname=work panic=-1\n",
    );
    assert_eq!(line.role, Role::App);
    assert_eq!(line.run, [vec!["foot", "-T", "a=b"], vec!["weston-flower"]]);
    assert_eq!(line.hostname.as_deref(), Some("work"));
    assert!(!line.shell && line.strange.is_empty());
}

#[test]
fn of_a_desktop() {
    let line =
        CommandLine::parse("vwl.role=compositor vwl.compositor=labwc%20-d vwl.relay vwl.run=foot");
    assert_eq!(line.role, Role::Compositor);
    assert_eq!(line.compositor, Some(vec!["labwc".into(), "-d".into()]));
    assert_eq!(line.run, [["foot"]]);
    assert!(line.relay);
}

#[test]
fn without_ours() {
    let line = CommandLine::parse("quiet shell role=app");
    assert_eq!(
        (line.role, line.run.len(), line.shell),
        (Role::Bare, 0, false)
    );
}

#[test]
fn what_is_not_understood() {
    let line = CommandLine::parse(
        "vwl.role=compositor vwl.role=root vwl.run= vwl.shell=1 vwl.compositor= vwl.other vwl.shell vwl.hostname=a/b",
    );
    assert_eq!(line.role, Role::Compositor);
    assert!(line.shell);
    assert_eq!(
        line.strange,
        [
            "vwl.role=root",
            "vwl.run=",
            "vwl.shell=1",
            "vwl.compositor=",
            "vwl.other",
            "vwl.hostname=a/b"
        ]
    );
}

proptest! {
    #[test]
    fn any_command_arrives(argv in proptest::collection::vec("[^\0]{1,12}", 1..5)) {
        let line = format!("quiet vwl.run={} panic=-1", guest_control::encode_command(&argv));
        prop_assert_eq!(CommandLine::parse(&line).run, [argv]);
    }

    #[test]
    fn any_text_is_taken(text in ".{0,200}") {
        CommandLine::parse(&text);
    }
}
