//! Lines of /proc.

use nix::unistd::Pid;

use super::{Process, by_number, parse_stat};

#[test]
fn stat_lines() {
    let process = Process {
        group: Pid::from_raw(5),
        session: Pid::from_raw(3),
    };
    assert_eq!(
        parse_stat("7 (a) b) 9 (x) S 1 5 3 0 -1 4194560"),
        Some(process)
    );
    assert_eq!(parse_stat(""), None);
    assert_eq!(parse_stat("7 (cat) S 1"), None);
}

#[test]
fn numbers() {
    assert!(by_number(15).is_ok());
    assert!(by_number(0).is_err());
    assert!(by_number(-9).is_err());
    assert!(by_number(1000).is_err());
}
