//! Which mirror of Debian this machine uses, from apt's lists of sources (sources.list(5)).

use std::fs;
use std::path::Path;

use super::control::{Stanza, stanzas};

/// Used when the machine names none, for example because it does not run Debian.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Releases of Debian whose mirror also has the ones we need.
const RELEASES: &[&str] = &[
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The mirror of the Debian archive that the machine is configured to use.
pub(crate) fn mirror() -> String {
    mirror_in(Path::new("/etc/apt")).unwrap_or_else(|| DEFAULT_MIRROR.to_owned())
}

/// The first mirror named below a directory like /etc/apt.
fn mirror_in(dir: &Path) -> Option<String> {
    let mut files = vec![dir.join("sources.list")];
    let parts = fs::read_dir(dir.join("sources.list.d")).ok();
    let parts = parts.into_iter().flatten().flatten();
    let mut parts: Vec<_> = parts.map(|entry| entry.path()).collect();
    parts.sort();
    files.extend(parts);
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => text.lines().find_map(in_line),
            "sources" => stanzas(&text).iter().find_map(in_stanza),
            _ => None,
        }
    })
}

/// The mirror in a line such as `deb [signed-by=…] http://deb.debian.org/debian bookworm main`.
pub(super) fn in_line(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    (is_release(suite) && words.any(|word| word == "main"))
        .then(|| usable(uri))
        .flatten()
}

/// The mirror in a stanza of the newer format.
pub(super) fn in_stanza(stanza: &Stanza) -> Option<String> {
    let enabled = stanza.get("Enabled").is_none_or(|value| value != "no");
    let fits = enabled
        && stanza.words("Types").any(|kind| kind == "deb")
        && stanza.words("Suites").any(is_release)
        && stanza.words("Components").any(|name| name == "main");
    fits.then(|| stanza.words("URIs").find_map(usable))
        .flatten()
}

fn is_release(suite: &str) -> bool {
    RELEASES.contains(&suite)
}

/// The address without a slash at its end, if other suites can be expected below it too.
fn usable(uri: &str) -> Option<String> {
    let web = uri.starts_with("http://") || uri.starts_with("https://");
    web.then(|| uri.trim_end_matches('/').to_owned())
}
