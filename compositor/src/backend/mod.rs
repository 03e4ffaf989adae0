//! Where the picture goes.

mod headless;
pub(crate) mod kms;

pub(crate) use headless::Headless;

use crate::core::Size;
use crate::render::element::SceneElement;

/// A monitor. Others than the headless one present what they drew.
pub(crate) trait Backend: std::fmt::Debug {
    /// Size in pixels.
    fn size(&self) -> Size;

    /// Draws a frame and shows it.
    fn draw(&mut self, elements: &[SceneElement]) -> Result<(), BackendError>;

    /// The picture as of the last frame, `0x00RRGGBB`, row by row.
    fn read(&self) -> Vec<u32>;

    /// True if somebody looks at it who needs to see where the pointer is.
    fn shows_pointer(&self) -> bool {
        false
    }

    /// Looks again at what monitor there is and adapts to it. True if anything
    /// about the picture changed, so that all of it has to be drawn anew.
    fn refresh(&mut self) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// Why a frame could not be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// This frame is lost; the next may be fine.
    #[error("a frame is lost")]
    Frame(#[source] anyhow::Error),
    /// There is nothing to show frames on any more.
    #[error(transparent)]
    Lost(#[from] DisplayLost),
}

/// The display cannot be used, or not any more.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DisplayLost {
    what: String,
    #[source]
    source: Option<std::io::Error>,
}

impl DisplayLost {
    /// For want of anything to show pictures on.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    /// Because the system said so.
    pub(crate) fn because(what: impl Into<String>, source: std::io::Error) -> Self {
        Self {
            what: what.into(),
            source: Some(source),
        }
    }
}
