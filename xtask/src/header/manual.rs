//! Manual pages of section 3, made of the C header: its comments say everything once.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// What all names begin with.
const PREFIX: &str = "virtio_wl_";

/// A manual page: its name, and its roff text.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: String,
    pub(super) text: String,
}

/// A paragraph of a comment, and the list that ends it.
#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    items: Vec<String>,
}

/// A page for each function of `header`, and one for all together.
pub(super) fn pages(header: &str) -> Result<Vec<Page>> {
    let mut pages = vec![overview(header)?];
    let mut rest = header;
    while let Some((_, block)) = rest.split_once("/**\n") {
        let (comment, behind) = block.split_once("*/\n").context("an open comment")?;
        rest = behind;
        let declaration = behind.split_once(";\n").map_or("", |(text, _)| text);
        let function = declaration
            .split_once('(')
            .and_then(|(head, _)| head.rsplit([' ', '*']).next())
            .filter(|name| name.starts_with(PREFIX) && !declaration.contains('{'));
        if let Some(name) = function {
            pages.push(page(header, name, declaration, comment)?);
        }
    }
    Ok(pages)
}

/// What the header says at its top, and all functions.
fn overview(header: &str) -> Result<Page> {
    let (_, comment) = header.split_once("/*\n").context("no introduction")?;
    let (comment, _) = comment.split_once("*/\n").context("no introduction")?;
    let mut paragraphs = paragraphs(comment).into_iter();
    let (_, summary) = title(paragraphs.next())?;
    let mut text = top("virtio_wl", &summary);
    synopsis(&mut text, &[]);
    text.push_str(".SH DESCRIPTION\n");
    // The last paragraph is for those who read the header.
    let description: Vec<_> = paragraphs.collect();
    for paragraph in description.split_last().map_or(&[][..], |(_, front)| front) {
        write_paragraph(&mut text, paragraph, ".PP\n");
    }
    text.push_str(
        ".SH ENVIRONMENT\n.TP\n.B VIRTIO_WL_DEVICE\nWhich device is used: a device node, ",
    );
    text.push_str("or vhost\\-user:PATH for an embedded one. /dev/wl0 if unset or empty.\n");
    let functions = header
        .lines()
        .filter_map(|line| line.strip_suffix(");")?.split_once('('))
        .filter_map(|(head, _)| head.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with(PREFIX));
    see_also(
        &mut text,
        functions.map(|name| format!("{name}(3)")).collect(),
    );
    Ok(Page {
        name: "virtio_wl".to_owned(),
        text,
    })
}

fn page(header: &str, name: &str, declaration: &str, comment: &str) -> Result<Page> {
    let mut paragraphs = paragraphs(comment).into_iter();
    let (_, summary) = title(paragraphs.next())?;
    let mut text = top(name, &summary);
    let mut shown = vec![format!("{declaration};")];
    if declaration.contains("struct virtio_wl_peer") {
        shown.push(structure(header, "struct virtio_wl_peer {")?);
    }
    synopsis(&mut text, &shown);
    text.push_str(".SH DESCRIPTION\n");
    let (mut result, mut errors) = (None, Vec::new());
    for mut paragraph in paragraphs {
        if paragraph.text.starts_with("Returns ") {
            errors = std::mem::take(&mut paragraph.items);
            result = Some(paragraph.text);
        } else if let Some((names, about)) = parameters(&paragraph.text, declaration) {
            let _ = writeln!(text, ".TP\n.I {}", escaped(&names));
            paragraph.text = about;
            write_paragraph(&mut text, &paragraph, "");
        } else {
            write_paragraph(&mut text, &paragraph, ".PP\n");
        }
    }
    let result = result.context("what it returns")?;
    let result = result.strip_suffix(", and errno is").map_or_else(
        || result.clone(),
        |result| format!("{result} is returned and errno is set."),
    );
    let _ = writeln!(text, ".SH RETURN VALUE\n{}", escaped(&result));
    if !errors.is_empty() {
        text.push_str(".SH ERRORS\n");
    }
    for error in &errors {
        let (names, about) = error
            .split_once(": ")
            .context("an error without a reason")?;
        let about = about.trim_end_matches([';', '.']);
        let _ = writeln!(text, ".TP\n.B {}\n{}.", escaped(names), escaped(about));
    }
    see_also(&mut text, mentioned(comment, name));
    Ok(Page {
        name: name.to_owned(),
        text,
    })
}

/// The paragraphs of a comment.
fn paragraphs(comment: &str) -> Vec<Paragraph> {
    let mut all = vec![Paragraph::default()];
    for line in comment.lines() {
        let line = line.trim_start().trim_start_matches('*');
        let line = line.strip_prefix(' ').unwrap_or(line);
        let Some(last) = all.last_mut() else { continue };
        if line.trim().is_empty() {
            // A list after an empty line belongs to what is above it.
            all.push(Paragraph::default());
        } else if let Some(item) = line.strip_prefix("- ") {
            last.items.push(item.to_owned());
        } else if let Some(item) = last.items.last_mut() {
            item.push(' ');
            item.push_str(line.trim());
        } else {
            if !last.text.is_empty() {
                last.text.push(' ');
            }
            last.text.push_str(line.trim());
        }
    }
    all.retain(|paragraph| !paragraph.text.is_empty() || !paragraph.items.is_empty());
    all
}

/// Name and summary, from "NAME - SUMMARY".
fn title(first: Option<Paragraph>) -> Result<(String, String)> {
    let first = first.context("an empty comment")?.text;
    let (name, summary) = first.split_once(" - ").context("no summary")?;
    Ok((name.to_owned(), summary.to_owned()))
}

/// "a, b: what they are", if these are parameters.
fn parameters(text: &str, declaration: &str) -> Option<(String, String)> {
    let (names, about) = text.split_once(": ")?;
    let is_parameter = |name: &str| {
        declaration
            .split(['(', ')', ',', ' ', '*'])
            .any(|word| word == name)
    };
    names
        .split(", ")
        .all(is_parameter)
        .then(|| (names.to_owned(), about.to_owned()))
}

/// A structure without its comments.
fn structure(header: &str, start: &str) -> Result<String> {
    let at = header.find(start).context("no such structure")?;
    let end = header[at..].find("};").context("an open structure")?;
    let lines = header[at..at + end + 2].lines();
    let code: Vec<_> = lines
        .filter(|line| !line.trim_start().starts_with(['/', '*']))
        .collect();
    Ok(code.join("\n"))
}

fn top(name: &str, summary: &str) -> String {
    let (title, summary) = (name.to_uppercase(), escaped(summary));
    format!(
        ".\\\" Made by `cargo xtask header` from the comments of include/virtio_wl.h.\n\
         .TH {title} 3 \"\" \"virtio-wl\" \"Library Functions Manual\"\n\
         .SH NAME\n{name} \\- {summary}\n\
         .SH LIBRARY\nvirtio\\-wl (libvirtio_wl, \\-lvirtio_wl)\n"
    )
}

fn synopsis(text: &mut String, shown: &[String]) {
    text.push_str(".SH SYNOPSIS\n.nf\n.B #include <virtio_wl.h>\n");
    for code in shown {
        text.push_str(".PP\n");
        for line in code.lines() {
            let _ = writeln!(text, ".B \"{}\"", escaped(line));
        }
    }
    text.push_str(".fi\n");
}

fn write_paragraph(text: &mut String, paragraph: &Paragraph, before: &str) {
    text.push_str(before);
    if !paragraph.text.is_empty() {
        let _ = writeln!(text, "{}", escaped(&paragraph.text));
    }
    if paragraph.items.is_empty() {
        return;
    }
    text.push_str(".RS\n");
    for item in &paragraph.items {
        let _ = writeln!(text, ".IP \\(bu 2\n{}", escaped(item));
    }
    text.push_str(".RE\n");
}

/// Other pages that a comment speaks of: `virtio_wl_send()`, `mmap(2)`.
fn mentioned(comment: &str, own: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::from(["virtio_wl(3)".to_owned()]);
    for (at, _) in comment.match_indices('(') {
        let name = comment[..at].rsplit(|c| !is_name(c)).next().unwrap_or("");
        let section = match comment[at + 1..].split_once(')') {
            Some(("", _)) if name.starts_with(PREFIX) => "3",
            Some((section @ ("2" | "3"), _)) => section,
            _ => continue,
        };
        if !name.is_empty() && name != own {
            found.insert(format!("{name}({section})"));
        }
    }
    found
}

fn see_also(text: &mut String, pages: BTreeSet<String>) {
    text.push_str(".SH SEE ALSO\n");
    let count = pages.len();
    for (number, page) in pages.iter().enumerate() {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        let comma = if number + 1 < count { "," } else { "" };
        let _ = writeln!(text, ".BR {name} ({section}{comma}");
    }
}

/// Text that roff takes for nothing else.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('`', "");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}
