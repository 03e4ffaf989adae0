use std::path::Path;

use super::control::stanzas;
use super::sources::{in_line, in_stanza};
use super::{file_names, installed, name_and_version};

#[test]
fn lines_of_sources() {
    let mirror = Some("http://deb.debian.org/debian".to_owned());
    for line in [
        "deb http://deb.debian.org/debian bookworm main",
        "deb http://deb.debian.org/debian/ bookworm main contrib",
        "  deb\t[arch=amd64 signed-by=/k.gpg] http://deb.debian.org/debian bookworm non-free main",
    ] {
        assert_eq!(in_line(line), mirror, "{line}");
    }
    for line in [
        "",
        "# deb http://deb.debian.org/debian bookworm main",
        "deb-src http://deb.debian.org/debian bookworm main",
        "deb http://security.debian.org bookworm-security main",
        "deb https://packages.example.org/apt example main",
        "deb cdrom:[Debian]/ bookworm main",
        "deb http://deb.debian.org/debian bookworm contrib",
        "deb [arch=amd64",
        "debug",
    ] {
        assert_eq!(in_line(line), None, "{line}");
    }
}

#[test]
fn stanzas_of_sources() {
    let text = "\
Types: deb
# a comment
URIs: http://security.debian.org/
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs:
 cdrom:x https://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
";
    let found: Vec<_> = stanzas(text).iter().map(in_stanza).collect();
    let mirror = "https://mirror.example.org/debian".to_owned();
    assert_eq!(found, [None, Some(mirror)]);
    let disabled = text.replace("Types: deb d", "Enabled: no\nTypes: deb d");
    assert!(
        stanzas(&disabled)
            .iter()
            .all(|one| in_stanza(one).is_none())
    );
}

#[test]
fn relations_without_versions() {
    let text = "Depends: linux-image-6.12.95+deb12-amd64 (= 6.12.95-1~bpo12+1), a | b,\n c\n";
    let stanza = stanzas(text).remove(0);
    let names: Vec<_> = stanza.relations("depends").collect();
    assert_eq!(names, ["linux-image-6.12.95+deb12-amd64", "a", "c"]);
    assert_eq!(stanza.relations("Recommends").count(), 0);
}

#[test]
fn what_apt_prints() {
    let uris = "'http://deb.debian.org/debian/pool/main/l/x_1%3a2_amd64.deb' x_1%3a2_amd64.deb 1204 SHA256:0\nother\n";
    assert_eq!(file_names(uris), ["x_1%3a2_amd64.deb"]);
    let simulated = "Reading package lists...\nInst libc6 (2.41-12 Debian:13/stable [amd64])\n\
                     Inst x (1:2 Debian Backports:b [amd64]) []\nConf libc6 (2.41-12 Debian)\n";
    let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(
        installed(simulated),
        [pair("libc6", "2.41-12"), pair("x", "1:2")]
    );
    assert_eq!(
        name_and_version(Path::new("/a/x_1%3a2_amd64.deb")),
        pair("x", "1:2")
    );
}
