//! Tests in real VMs. Each boots its own guests; see [`integration_tests::vm`].

mod boot;
