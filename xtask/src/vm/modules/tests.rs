use std::path::Path;

use super::{name, order};

/// Names and what each of them needs.
fn ordered(names: &[&str], graph: &[(&str, &[&str])]) -> Result<Vec<String>, String> {
    let graph: Vec<(&str, Vec<String>)> = graph
        .iter()
        .map(|(name, needs)| (*name, needs.iter().map(|need| (*need).to_owned()).collect()))
        .collect();
    let needs = |name: &str| {
        let found = graph.iter().find(|(other, _)| *other == name);
        found.map_or(&[][..], |(_, needs)| needs.as_slice())
    };
    order(names, needs).map_err(|error| error.to_string())
}

#[test]
fn what_is_needed_comes_first() {
    let graph: &[(&str, &[&str])] = &[
        ("virtio_gpu", &["drm_shmem_helper", "drm", "virtio_dma_buf"]),
        ("drm_shmem_helper", &["drm"]),
        ("drm", &[]),
    ];
    assert_eq!(
        ordered(&["virtio_gpu"], graph).unwrap(),
        ["drm", "drm_shmem_helper", "virtio_dma_buf", "virtio_gpu"]
    );
}

#[test]
fn order_of_the_wanted_stays_and_none_comes_twice() {
    let graph: &[(&str, &[&str])] = &[("c", &["a"])];
    assert_eq!(
        ordered(&["b", "c", "a", "b"], graph).unwrap(),
        ["b", "a", "c"]
    );
}

#[test]
fn a_circle_is_an_error() {
    let graph: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a"])];
    assert!(ordered(&["a"], graph).unwrap_err().contains("a, b"));
}

#[test]
fn names_of_files() {
    let name = |path| name(Path::new(path));
    assert_eq!(name("x/virtio-gpu.ko.xz").as_deref(), Some("virtio_gpu"));
    assert_eq!(name("virtio_wl.ko").as_deref(), Some("virtio_wl"));
    assert_eq!(name("modules.order"), None);
    assert_eq!(name("x.kobject"), None);
}
