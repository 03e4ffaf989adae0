use super::*;

fn wanted(value: &str) -> Option<Wanted> {
    Wanted::parse(value.into())
}

fn is(value: &str, path: &str) -> bool {
    wanted(value).is_some_and(|wanted| wanted.is(Path::new(path)))
}

#[test]
fn a_socket_is_named_by_name_path_or_auto() {
    assert_eq!(wanted(""), None);
    assert!(is("wayland-1", "/run/user/1000/wayland-1"));
    assert!(!is("wayland-1", "/run/user/1000/wayland-10"));
    assert!(is("/run/w", "/run/w"));
    assert!(!is("/run/w", "/run/user/w"));
    assert!(is("auto", "/run/user/1000/wayland-33"));
    assert!(!is("auto", "/run/user/1000/sway-ipc.sock"));
}

#[test]
fn children_do_without_the_library() {
    let without = |list: &str| without_library(OsStr::new(list));
    assert_eq!(without("/usr/lib/libvirtio_wl_preload.so.1"), "");
    assert_eq!(without("libvirtio_wl_preload.so"), "");
    assert_eq!(
        without("liba.so /x/libvirtio_wl_preload.so.1:/y/libb.so"),
        "liba.so:/y/libb.so"
    );
    assert_eq!(
        without("/libvirtio_wl_preload.so.d/libc.so"),
        "/libvirtio_wl_preload.so.d/libc.so"
    );
}
