//! What keeps a compositor accepting.

use std::io::PipeWriter;

/// A listening descriptor that a compositor accepts clients from, for as long as this lives.
///
/// The end of this process ends it as well. The end of the compositor is not seen here.
#[derive(Debug)]
#[must_use = "the compositor stops accepting when it is dropped"]
pub struct Context {
    /// Never written to: closing it hangs up the end that the compositor has.
    _keep: PipeWriter,
    /// Which of its announcer's it is, from 1.
    pub(crate) number: u64,
}

impl Context {
    pub(crate) fn new(keep: PipeWriter, number: u64) -> Self {
        Self {
            _keep: keep,
            number,
        }
    }
}
