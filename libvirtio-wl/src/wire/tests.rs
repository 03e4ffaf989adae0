//! Golden bytes and refusals.
