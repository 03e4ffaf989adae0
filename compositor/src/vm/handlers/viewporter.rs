//! wp_viewporter: what clients set is read at commit, in `view`.

use super::super::state::VmState;

smithay::delegate_viewporter!(VmState);
