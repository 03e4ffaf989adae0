//! accept(2) on the host for a compositor in a VM.
