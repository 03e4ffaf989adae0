use super::*;

fn parse_line(line: &str) -> Result<Command, UsageError> {
    parse_with(line, &[])
}

fn parse_with(line: &str, env: &[(&str, &str)]) -> Result<Command, UsageError> {
    let variable = |name: &str| {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| OsString::from(value))
    };
    parse(line.split_whitespace().map(OsString::from), variable)
}

fn config(line: &str) -> Config {
    match parse_line(line) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_first_argument_that_is_no_option_starts_the_program() {
    let program = |line| config(line).program;
    assert_eq!(
        program("foot --title=x -e sh"),
        ["foot", "--title=x", "-e", "sh"]
    );
    assert_eq!(
        program("--parent --socket=a foot --parent"),
        ["foot", "--parent"]
    );
    assert_eq!(program("-- --odd-name -x"), ["--odd-name", "-x"]);
}

#[test]
fn options_match_by_prefix_and_the_longest_wins() {
    assert!(config("--parental x").parent);
    assert_eq!(
        config("--socket-name=a --parent").socket.as_deref(),
        Some(OsStr::new("a"))
    );
    assert_eq!(
        find(b"--application-id-x11-property=P")
            .expect("known")
            .name
            .len(),
        29
    );
    assert_eq!(
        find(b"--xwayland-gl-driver-path=P").expect("known").env,
        Some("SOMMELIER_XWAYLAND_GL_DRIVER_PATH")
    );
    assert!(find(b"--x").is_none() && find(b"").is_none());
}

#[test]
fn a_value_follows_an_equals_sign() {
    let display = |line| {
        config(line)
            .display
            .map(|value| value.into_string().expect("text"))
    };
    assert_eq!(display("--display=/a=b x").as_deref(), Some("/a=b"));
    assert_eq!(display("--display= x").as_deref(), Some(""));
    assert_eq!(
        parse_line("--display /a x"),
        Err(UsageError::MissingValue("--display"))
    );
}

#[test]
fn unknown_options_warn_and_nothing_else() {
    let config = config("--frobnicate=7 -z foot");
    assert_eq!(config.program, ["foot"]);
    assert_eq!(
        config.warnings,
        [
            "option '--frobnicate=7' is unknown, ignoring",
            "option '-z' is unknown, ignoring"
        ]
    );
}

#[test]
fn options_of_later_parts_give_one_warning_that_names_them() {
    let config = config("-X --scale=1.5 --glamor foot");
    assert_eq!(
        config.warnings,
        ["not supported yet, without effect: -X, --scale, --glamor"]
    );
}

#[test]
fn removed_options_are_accepted() {
    let config = config("--master --virtwl-device=/dev/wl1 --drm-device=/dev/dri --parent");
    assert_eq!(config.warnings.len(), 3);
    assert!(
        config.warnings[0].contains("use '--parent'"),
        "{:?}",
        config.warnings
    );
    assert!(config.parent);
}

#[test]
fn without_anything_to_run_it_is_an_error() {
    assert_eq!(parse_line(""), Err(UsageError::NoProgram));
    assert_eq!(parse_line("--socket=x"), Err(UsageError::NoProgram));
    assert_eq!(parse_line("--noop-driver foot"), Err(UsageError::NoDisplay));
    assert!(config("--client-fd=5").program.is_empty());
    assert!(config("--parent").program.is_empty());
}

#[test]
fn values_are_checked() {
    for good in ["-1", "0", "3"] {
        assert!(config(&format!("--log-level={good} x")).log_level.is_some());
    }
    for bad in [
        "--log-level=loud",
        "--log-level=",
        "--client-fd=x",
        "--fullscreen-mode=huge",
        "--accelerators=<Super>a",
        "--accelerators=<Alt>a,<Alt",
        "--windowed-accelerators=<>b",
    ] {
        let error = parse_line(&format!("{bad} foot")).expect_err(bad);
        assert!(matches!(error, UsageError::BadValue { .. }), "{bad}");
    }
    for good in [
        "--fullscreen-mode=plain",
        "--accelerators=<Control><Alt><Shift>a,F1",
        "--accelerators=",
    ] {
        config(&format!("{good} foot"));
    }
}

#[test]
fn flags_beat_the_environment() {
    let env = [
        ("SOMMELIER_DISPLAY", "outer"),
        ("SOMMELIER_SCALE", "2"),
        ("SOMMELIER_GLAMOR", "0"),
    ];
    let parsed = |line| match parse_with(line, &env) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{other:?}"),
    };
    assert_eq!(parsed("foot").display.expect("set"), "outer");
    assert_eq!(
        parsed("foot").warnings,
        ["not supported yet, without effect: SOMMELIER_SCALE"]
    );
    assert_eq!(parsed("--display=mine foot").display.expect("set"), "mine");
}

#[test]
fn two_variables_switch_something_off() {
    let hidden = |value| match parse_with("x", &[("SOMMELIER_SUPPORT_DAMAGE_BUFFER", value)]) {
        Ok(Command::Run(config)) => config.no_damage_buffer,
        other => panic!("{other:?}"),
    };
    assert!(hidden("0"));
    assert!(!hidden("1") && !hidden(""));
    assert!(config("--no-support-damage-buffer x").no_damage_buffer);
}

#[test]
fn help_and_version_come_at_once() {
    for line in ["-h", "--help", "-?", "--parent --help foot"] {
        assert_eq!(parse_line(line), Ok(Command::Help));
    }
    for line in ["-v", "--version"] {
        assert_eq!(parse_line(line), Ok(Command::Version));
    }
    assert!(OPTIONS.iter().all(|opt| usage().contains(opt.name)));
}
