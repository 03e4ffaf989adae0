use super::parse_version;

#[test]
fn version_of_debian() {
    let text = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright";
    assert_eq!(parse_version(text), Some((11, 1)));
}

#[test]
fn version_of_a_candidate() {
    assert_eq!(
        parse_version("QEMU emulator version 10.0-rc2"),
        Some((10, 0))
    );
}

#[test]
fn no_version() {
    assert_eq!(parse_version(""), None);
    assert_eq!(parse_version("QEMU emulator version x.1"), None);
    assert_eq!(parse_version("version 11"), None);
}
