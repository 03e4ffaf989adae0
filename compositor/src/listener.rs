//! Where clients come from.

pub(crate) mod test_socket;
