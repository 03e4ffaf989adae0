use std::collections::BTreeSet;

use super::*;

#[test]
fn the_baseline_is_well_formed_sorted_and_known() {
    let lines: Vec<_> = BASELINE
        .lines()
        .filter_map(|line| parse_line(line).expect("an entry"))
        .collect();
    assert!(lines.len() > 20);
    assert!(
        lines.is_sorted_by(|a, b| a.0 < b.0),
        "sorted, without duplicates"
    );
    for (name, max_version) in &lines {
        let global = find(name.as_bytes()).unwrap_or_else(|| panic!("{name} has no interface"));
        assert_eq!(global.interface.name, *name);
        let known = global.interface.version;
        assert!(
            *max_version <= known,
            "{name} {max_version}, tables know {known}"
        );
    }
}

#[test]
fn every_known_interface_is_in_the_baseline() {
    let listed: BTreeSet<_> = all().map(|global| global.interface.name).collect();
    let known: BTreeSet<_> = known_interfaces().iter().map(|known| known.name).collect();
    assert_eq!(listed, known);
}

#[test]
fn lines_that_are_no_entries_are_refused() {
    assert_eq!(parse_line("wl_seat 9"), Ok(Some(("wl_seat", 9))));
    assert_eq!(parse_line("  # comment"), Ok(None));
    for line in [
        "wl_seat",
        "wl_seat 0",
        "wl_seat nine",
        "wl_seat -1",
        "wl_seat 1 2",
    ] {
        assert_eq!(parse_line(line), Err(line));
    }
}

#[test]
fn what_is_not_listed_is_hidden() {
    for name in [
        "zwp_linux_dmabuf_v1",
        "wl_drm",
        "wp_security_context_manager_v1",
        "",
        "wl_",
    ] {
        assert!(find(name.as_bytes()).is_none());
    }
}
