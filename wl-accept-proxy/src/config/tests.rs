use super::*;

const HEAD: &str = "[compositor]\ncontrol = \"/c\"\nannounce = \"/a\"\n";

fn parse(vms: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{HEAD}{vms}"))
}

fn error(vms: &str) -> String {
    let error = parse(vms).unwrap_err();
    match &error {
        ConfigError::Syntax(syntax) => format!("{error}: {syntax}"),
        _ => error.to_string(),
    }
}

fn vm(name: &str, more: &str) -> String {
    format!("[[vm]]\nname = \"{name}\"\ncolour = \"#102030\"\n{more}\n")
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
    let config = Config::parse(&text.replace("root:vm-work", "0:0")).unwrap();
    assert_eq!(config.compositor.unclaimed_timeout, Duration::from_secs(10));
    let label = &config.vms[0].label;
    assert_eq!(label.colour.to_string(), "#4466cc");
    assert_eq!(label.id, ids::from_name(&label.name));
}

#[test]
fn ids_may_be_fixed_and_must_differ() {
    let config = parse(&vm("a", "id = 7")).unwrap();
    assert_eq!(config.vms[0].label.id, VmId(7));
    let same = vm("a", "id = 7") + &vm("b", "id = 7");
    assert!(error(&same).contains("VM b has the id"));
}

#[test]
fn mistakes_are_named() {
    assert!(error("[[vm]]\nname = \"a\"").contains("colour"));
    assert!(error("[[vm]]\nname = \"a\"\ncolour = \"red\"").contains("#rrggbb"));
    assert!(error(&vm("a b", "")).contains("A-Z a-z"));
    assert!(error(&vm("a", "colour2 = 1")).contains("colour2"));
    assert!(error(&(vm("a", "") + &vm("a", ""))).contains("two VMs are named a"));
    let same = vm("a", "socket = \"/s\"") + &vm("b", "socket = \"/s\"");
    assert!(error(&same).contains("used already"));
    assert!(error(&vm("a", "socket = \"/a\"")).contains("used already"));
    for bad in ["0", "-1.0", "nan", "inf", "1e9"] {
        assert!(
            error(&format!("unclaimed-timeout = {bad}")).contains("unclaimed"),
            "{bad}"
        );
    }
    let many: String = (0..=MAX_WAITING)
        .map(|n| vm(&format!("v{n}"), ""))
        .collect();
    assert!(error(&many).contains("more than 128"));
}
