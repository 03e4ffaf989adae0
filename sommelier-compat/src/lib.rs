//! Wayland for the applications of an app VM.
