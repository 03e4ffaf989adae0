//! The manual pages of the functions, and that what they say about errors is tried.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::compile::source;
use crate::installed::Installed;
use crate::symbols::listed;

/// Errors that only a failing host brings about, or a program with more than this one.
const NOT_TRIED: [(&str, &str); 0] = [];

fn page(function: &str) -> Result<String> {
    let path = Installed::get()?.path(&format!("share/man/man3/{function}.3"));
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The errno values in a page's list of errors.
fn errors(page: &str) -> BTreeSet<&str> {
    let list = page.split(".SH ERRORS\n").nth(1).unwrap_or_default();
    let list = list.split(".SH").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.strip_prefix(".B "));
    names
        .flat_map(|names| names.split([',', ' ']))
        .filter(|word| word.len() > 2 && word.starts_with('E'))
        .collect()
}

/// The calls in `tests/c` that are checked to fail: function and errno.
fn tried() -> Result<BTreeSet<(String, String)>> {
    let mut all = BTreeSet::new();
    for entry in source("").read_dir()? {
        let text = fs::read_to_string(entry?.path())?;
        for check in text.split("FAILS(").skip(1) {
            let check = check.split(';').next().unwrap_or_default();
            let function = check.split('(').next().unwrap_or_default().trim();
            let errno = check.rsplit([' ', '\t']).next().unwrap_or_default();
            let errno = errno.trim_end_matches(')');
            all.insert((function.to_owned(), errno.to_owned()));
            // descriptor_fails() tries each that it is called with.
            if errno == "expected" {
                for errno in ["EBADF", "ENOTSOCK"] {
                    all.insert((function.to_owned(), errno.to_owned()));
                }
            }
        }
    }
    Ok(all)
}

#[test]
fn every_function_has_a_page() -> Result<()> {
    for function in listed() {
        let page = page(function)?;
        ensure!(
            page.contains(&format!(".SH NAME\n{function} ")),
            "{function}"
        );
        for section in [".SH SYNOPSIS", ".SH DESCRIPTION", ".SH RETURN VALUE"] {
            ensure!(page.contains(section), "{function} lacks {section}");
        }
    }
    Ok(())
}

#[test]
fn every_error_of_a_page_is_tried() -> Result<()> {
    let tried = tried()?;
    let mut missing = Vec::new();
    for function in listed() {
        for errno in errors(&page(function)?) {
            let is_tried = tried.contains(&(function.to_owned(), errno.to_owned()));
            if !is_tried && !NOT_TRIED.contains(&(function, errno)) {
                missing.push(format!("{function} {errno}"));
            }
        }
    }
    ensure!(missing.is_empty(), "not tried: {missing:?}");
    Ok(())
}

#[test]
fn every_function_is_called() -> Result<()> {
    let mut text = String::new();
    for entry in source("").read_dir()? {
        text += &fs::read_to_string(entry?.path())?;
    }
    for function in listed() {
        ensure!(text.contains(&format!("{function}(")), "{function}");
    }
    Ok(())
}
