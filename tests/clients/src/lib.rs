//! Wayland clients for the integration tests.
