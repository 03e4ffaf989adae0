use super::*;

#[test]
fn a_wayland_socket_has_a_path_and_perhaps_a_name() {
    let parsed: WaylandSock = "/run/wayland-0,name=x".parse().unwrap();
    assert_eq!(
        (parsed.path.to_str(), parsed.name.as_str()),
        (Some("/run/wayland-0"), "x")
    );
    for bad in [
        "",
        ",name=x",
        "/a,nam=x",
        "/a,name",
        "/a,name=x,name=y",
        "/a,",
    ] {
        assert!(bad.parse::<WaylandSock>().is_err(), "{bad}");
    }
}

#[test]
fn serving_needs_a_socket_and_ctl_does_not() {
    assert!(Args::try_parse_from(["vhost-device-wl"]).is_err());
    assert!(Args::try_parse_from(["vhost-device-wl", "ctl", "--control", "c", "list"]).is_ok());
    assert!(Args::try_parse_from(["vhost-device-wl", "ctl", "list"]).is_err());
}
