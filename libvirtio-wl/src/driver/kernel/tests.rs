//! The driver over a pretended kernel.
