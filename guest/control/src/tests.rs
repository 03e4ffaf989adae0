//! The lines as they are on the port: both sides may come from different builds.

use super::{Ended, Event, Request, Role, Stream};

fn round_trip<T>(value: &T, line: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(value).expect("a value"), line);
    assert_eq!(&serde_json::from_str::<T>(line).expect("a line"), value);
}

#[test]
fn requests() {
    let run = Request::Run {
        id: 1,
        argv: vec!["foot".to_owned()],
        env: Vec::new(),
        root: false,
    };
    round_trip(&run, r#"{"run":{"id":1,"argv":["foot"],"root":false}}"#);
    round_trip(&Request::KernelLog {}, r#"{"kernel-log":{}}"#);
    round_trip(&Request::Halt {}, r#"{"halt":{}}"#);
}

#[test]
fn events() {
    let booted = Event::Booted {
        role: Role::App,
        kernel: "6.12".to_owned(),
    };
    round_trip(&booted, r#"{"booted":{"role":"app","kernel":"6.12"}}"#);
    let output = Event::Output {
        id: 7,
        stream: Stream::Stderr,
        text: "a\n".to_owned(),
    };
    let line = r#"{"output":{"id":7,"stream":"stderr","text":"a\n"}}"#;
    round_trip(&output, line);
    let ended = Event::Ended {
        id: 7,
        status: Ended::Signal(9),
    };
    round_trip(&ended, r#"{"ended":{"id":7,"status":{"signal":9}}}"#);
}

#[test]
fn unknown_fields_are_refused() {
    assert!(serde_json::from_str::<Request>(r#"{"halt":{"now":true}}"#).is_err());
}
