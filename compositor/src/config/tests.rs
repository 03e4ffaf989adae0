use clap::{CommandFactory, Parser};

use super::*;
use crate::args::{Args, DEFAULT_LISTEN};

fn config(options: &[&str]) -> Result<Config, ConfigError> {
    let args = Args::try_parse_from([&["virtio-wl-compositor"], options].concat()).unwrap();
    Config::try_from(args.server)
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn defaults() {
    let config = config(&[]).unwrap();
    let size = Size::new(1280, 720);
    assert_eq!(config.display, Display::Headless { size });
    assert_eq!(config.listen.as_deref(), Some(DEFAULT_LISTEN));
    assert_eq!((config.control, config.test_sockets), (None, vec![]));
}

#[test]
fn everything_given() {
    let config = config(&[
        "--size",
        "1920x1080",
        "--control",
        "/run/c",
        "--no-listen",
        "--test-socket",
        "/run/a,name=personal,colour=#aa0000",
        "--test-socket",
        "/run/odd,path,name=work,colour=#0000AA",
    ])
    .unwrap();
    let size = Size::new(1920, 1080);
    assert_eq!(config.display, Display::Headless { size });
    assert_eq!(config.control, Some("/run/c".into()));
    assert_eq!(config.listen, None);
    let [a, b] = &config.test_sockets[..] else {
        panic!("{config:?}")
    };
    assert_eq!(
        (a.path.to_str(), a.name.as_str(), a.colour),
        (Some("/run/a"), "personal", "#aa0000".parse().unwrap())
    );
    assert_eq!(
        (b.path.to_str(), b.name.as_str(), b.colour),
        (Some("/run/odd,path"), "work", "#0000aa".parse().unwrap())
    );
}

#[test]
fn sizes_out_of_range_are_refused() {
    for size in [
        "",
        "x",
        "0x1",
        "1x0",
        "-1x5",
        "1280",
        "1280x",
        "16385x1",
        "1x99999999999",
        "1x2x3",
        "1 x2",
    ] {
        let option = format!("--size={size}");
        assert_eq!(
            config(&[&option]).unwrap_err(),
            ConfigError::Size(size.into())
        );
    }
    assert_eq!(
        config(&["--size=16384x1"]).unwrap().display,
        Display::Headless {
            size: Size::new(MAX_SIDE, 1)
        }
    );
}

#[test]
fn context_names_out_of_range_are_refused() {
    for name in ["", "a b", "ü", &"n".repeat(33)] {
        assert!(
            matches!(config(&["--listen", name]), Err(ConfigError::Listen(_))),
            "{name:?}"
        );
    }
}

#[test]
fn malformed_test_sockets_are_refused() {
    for spec in [
        "",
        "/p",
        "/p,name=a",
        "/p,colour=#000000,name=a",
        ",name=a,colour=#000000",
    ] {
        let result = config(&["--test-socket", spec]);
        assert_eq!(
            result.unwrap_err(),
            ConfigError::TestSocket(spec.into()),
            "{spec:?}"
        );
    }
    for spec in [
        "/p,name=,colour=#000000",
        "/p,name=a/b,colour=#000000",
        "/p,name=a,colour=red",
    ] {
        let result = config(&["--test-socket", spec]);
        assert!(
            matches!(result, Err(ConfigError::TestSocketLabel { .. })),
            "{spec:?}"
        );
    }
}

#[test]
fn two_of_a_kind_are_refused() {
    let a = "/p,name=a,colour=#000000";
    let twice = config(&[
        "--test-socket",
        a,
        "--test-socket",
        "/p,name=b,colour=#000000",
    ]);
    assert_eq!(twice.unwrap_err(), ConfigError::SamePath("/p".into()));
    let control = config(&["--test-socket", a, "--control", "/p"]);
    assert_eq!(control.unwrap_err(), ConfigError::SamePath("/p".into()));
    let named = config(&[
        "--test-socket",
        a,
        "--test-socket",
        "/q,name=a,colour=#000000",
    ]);
    assert_eq!(
        named.unwrap_err(),
        ConfigError::SameName("a".parse().unwrap())
    );
}
