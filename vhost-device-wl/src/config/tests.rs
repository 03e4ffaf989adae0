use clap::Parser;

use super::*;
use crate::args::Args;

fn config(options: &[&str]) -> Result<Config, ConfigError> {
    let command = ["vhost-device-wl"].iter().chain(options);
    Config::try_from(Args::try_parse_from(command).unwrap().serve)
}

#[test]
fn defaults() {
    let config = config(&["--socket", "/run/wl"]).unwrap();
    assert_eq!(config.max_frontends, 1);
    assert_eq!(config.max_memory, 1 << 30);
    assert_eq!(config.limits, Limits::default());
    assert!(config.sandbox);
    assert!(config.names.list().is_empty());
}

#[test]
fn sockets_as_crosvm_spells_them() {
    let config = config(&[
        "--socket",
        "s",
        "--wayland-sock",
        "/a",
        "--wayland-sock",
        "/b,name=x",
    ]);
    let names: Vec<_> = config
        .unwrap()
        .names
        .list()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["", "x"]);
}

#[test]
fn what_makes_no_sense_is_named() {
    let two = config(&[
        "--socket",
        "s",
        "--wayland-sock",
        "/a",
        "--wayland-sock",
        "/b",
    ]);
    assert_eq!(two.unwrap_err(), ConfigError::SameName(String::new()));
    let bad = config(&["--socket", "s", "--wayland-sock", "/a,name=a b"]);
    assert!(matches!(bad.unwrap_err(), ConfigError::Name(_)));
    for n in ["0", "65"] {
        let error = config(&["--socket", "s", "--max-frontends", n]).unwrap_err();
        assert_eq!(error.to_string(), "--max-frontends must be 1 to 64");
    }
}
