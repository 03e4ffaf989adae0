use clap::Parser;
use integration_tests::vm::qemu::Display;

use super::{Args, Image};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &str) -> Result<Args, String> {
    let words = std::iter::once("vm").chain(line.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(line.args)
}

#[test]
fn a_shell_needs_the_image_that_has_one() {
    let image = |line| parse(line).unwrap().image();
    assert_eq!(image("compositor"), Image::Compositor);
    assert_eq!(image("compositor --shell"), Image::CompositorDebug);
    assert_eq!(image("bare --shell"), Image::Bare);
    assert_eq!(image("app --shell"), Image::App);
}

#[test]
fn only_the_compositor_has_a_screen() {
    let display = |line| parse(line).unwrap().display();
    assert_eq!(display("compositor").unwrap(), Display::Vnc);
    let gtk = display("compositor --display gtk").unwrap();
    assert_eq!(gtk, Display::Window("gtk".to_owned()));
    assert_eq!(display("compositor --display none").unwrap(), Display::None);
    assert_eq!(display("app").unwrap(), Display::None);
    assert!(display("app --display vnc").is_err());
}

#[test]
fn what_is_not_understood_is_said() {
    assert!(
        parse("compositor --display curses")
            .unwrap_err()
            .contains("curses")
    );
    assert!(parse("compositor-debug").is_err());
    assert!(parse("bare --memory 3").is_err());
    assert!(parse("bare -d guest_errors").is_err());
    assert!(parse("").is_err());
}

#[test]
fn the_rest_is_for_qemu() {
    let args = parse("app --run foot --run wl-paste -- -d guest_errors").unwrap();
    assert_eq!(args.run, ["foot", "wl-paste"]);
    assert_eq!(args.qemu, ["-d", "guest_errors"]);
}
