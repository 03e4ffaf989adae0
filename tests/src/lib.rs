//! Harness for tests with several real processes.
