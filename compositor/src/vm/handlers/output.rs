//! wl_output.

use smithay::wayland::output::OutputHandler;

use super::super::state::VmState;

impl OutputHandler for VmState {}

smithay::delegate_output!(VmState);
