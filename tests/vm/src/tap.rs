//! The [Test Anything Protocol](https://testanything.org/), as test programs in a guest print it.

use anyhow::{Result, bail, ensure};

#[cfg(test)]
mod tests;

/// Results of one test program.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Results {
    /// How many passed.
    pub passed: usize,
    /// The ones that did not, as they were named.
    pub failed: Vec<String>,
    /// The ones that could not run, with the reason.
    pub skipped: Vec<String>,
    /// What it counted and measured: comments that begin with a number.
    pub figures: Vec<String>,
}

impl Results {
    /// Reads everything a program printed.
    ///
    /// # Errors
    /// When it has given up, or not printed as many results as it had announced.
    pub fn parse(text: &str) -> Result<Self> {
        let mut results = Self::default();
        let mut planned = None;
        for line in text.lines() {
            if let Some(plan) = line.strip_prefix("1..") {
                planned = plan.split(' ').next().and_then(|count| count.parse().ok());
            } else if let Some(reason) = line.strip_prefix("Bail out!") {
                bail!("it gave up: {}", reason.trim());
            } else if let Some(text) = line.strip_prefix("# ") {
                if text.starts_with(|first: char| first.is_ascii_digit()) {
                    results.figures.push(text.to_owned());
                }
            } else if let Some(name) = line.strip_prefix("not ok") {
                results.failed.push(name.trim().to_owned());
            } else if let Some(name) = line.strip_prefix("ok") {
                match name.split_once("# SKIP") {
                    Some(_) => results.skipped.push(name.trim().to_owned()),
                    None => results.passed += 1,
                }
            }
        }
        let seen = results.passed + results.failed.len() + results.skipped.len();
        ensure!(planned == Some(seen), "{seen} results, planned {planned:?}");
        Ok(results)
    }
}
