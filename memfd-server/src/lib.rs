//! Sealed shared memory for virtual machines, with quotas.
