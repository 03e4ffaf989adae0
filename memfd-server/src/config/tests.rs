use super::*;

fn error(text: &str) -> String {
    let error = Config::parse(text).unwrap_err();
    match &error {
        ConfigError::Syntax(syntax) => format!("{error}: {syntax}"),
        _ => error.to_string(),
    }
}

#[test]
fn the_documented_example_is_understood() {
    let text: String = include_str!("../config.rs")
        .lines()
        .skip_while(|line| !line.ends_with("```toml"))
        .skip(1)
        .take_while(|line| !line.ends_with("```"))
        .map(|line| line.trim_start_matches("//!").to_owned() + "\n")
        .collect();
    let text = text.replace("root:vm-work", "0:0");
    let config = Config::parse(&text).unwrap();
    let vm = &config.vms[0];
    assert_eq!(vm.name.as_str(), "work");
    assert_eq!(vm.limits.max_bytes, 512 << 20);
    assert_eq!(vm.limits.max_count, 1024);
    assert_eq!((vm.max_rate, vm.max_connections), (500, 64));
}

#[test]
fn what_is_left_out_has_the_documented_defaults() {
    let short = Config::parse("[[vm]]\nname = \"work\"").unwrap();
    let long = "[defaults]\nmax-bytes = \"256 MiB\"\nmax-count = 1024\nmax-size = \"64 MiB\"\n\
                max-rate = 500\nmax-connections = 64\n[[vm]]\nname = \"work\"\nmode = \"0600\"";
    assert_eq!(short.vms, Config::parse(long).unwrap().vms);
}

#[test]
fn sizes() {
    let size = |text: &str| {
        let text = format!("[[vm]]\nname = \"a\"\nmax-bytes = {text}");
        Config::parse(&text).ok().map(|c| c.vms[0].limits.max_bytes)
    };
    assert_eq!(size("4096"), Some(4096));
    assert_eq!(size("\"64K\""), Some(65_536));
    assert_eq!(size("\"1 GiB\""), Some(1 << 30));
    for bad in [
        "0",
        "-1",
        "\"\"",
        "\"M\"",
        "\"1 MB\"",
        "\"1e3\"",
        "\"99999999T\"",
        "1.5",
    ] {
        assert_eq!(size(bad), None, "{bad}");
    }
}

#[test]
fn mistakes_are_named() {
    assert!(error("").contains("no [[vm]]"));
    assert!(error("[[vm]]\nname = \"a b\"").contains("A-Z a-z"));
    assert!(error("[[vm]]\nname = \"a\"\nmode = \"999\"").contains("file mode"));
    assert!(error("[[vm]]\nname = \"a\"\nmax-rat = 1").contains("max-rat"));
    assert!(error("[[vm]]\nname = \"a\"\nmax-rate = 0").contains("max-rate"));
    let twice = "[[vm]]\nname = \"a\"\n[[vm]]\nname = \"a\"";
    assert!(error(twice).contains("two VMs are named a"));
    let same = "[[vm]]\nname = \"a\"\nsocket = \"/s\"\n[[vm]]\nname = \"b\"\nsocket = \"/s\"";
    assert!(error(same).contains("socket of another"));
}
