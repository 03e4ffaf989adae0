//! What the compositor was asked to be.

use std::path::PathBuf;

use crate::core::Size;
use crate::label::{Colour, VmName};

/// Validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Size of the headless monitor in pixels.
    pub size: Size,
    /// Where the control socket is made, if at all.
    pub control: Option<PathBuf>,
    /// Named context on which VM connections are accepted, if at all.
    pub listen: Option<String>,
    /// Sockets whose clients count as VMs.
    pub test_sockets: Vec<TestSocket>,
}

/// An ordinary Wayland socket that stands for a VM.
#[derive(Debug, Clone)]
pub struct TestSocket {
    /// Where it is made.
    pub path: PathBuf,
    /// The VM's name.
    pub name: VmName,
    /// The VM's colour.
    pub colour: Colour,
}
