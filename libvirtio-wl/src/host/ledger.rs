//! Who holds how much memory, as the host itself sees it.
//!
//! An [`Account`] is one VM's quota. [`Account::reserve`] charges it before memory is
//! made; the [`Reservation`] gives the charge back when it is dropped. To keep it for
//! as long as *anybody* holds the memory, hand it to [`Ledger::watch`]: an inotify
//! watch on a memfd delivers `IN_DELETE_SELF` when the last descriptor and the last
//! mapping anywhere (other processes, guests, messages in flight) are gone, provided
//! the caller keeps neither. Nobody is asked to say "release", and nobody can lie.
//!
//! The charge is the size rounded up to pages ([`charge`]), used or not: what counts is
//! what the holder could make the host spend.
//!
//! ```no_run
//! # use virtio_wl::host::ledger::{Account, Ledger, Limits};
//! # fn send(_: std::fs::File) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let account = Account::new(Limits { max_bytes: 1 << 30, max_count: 4096, max_size: 1 << 28 });
//! let mut ledger = Ledger::new()?;
//! let reservation = account.reserve(8192)?;
//! let memory = memfd::MemfdOptions::new().create("example")?.into_file();
//! ledger.watch(&memory, reservation)?;
//! send(memory);
//! // later, when `ledger.as_fd()` is readable:
//! let freed = ledger.dispatch()?;
//! # Ok(()) }
//! ```

mod account;
mod watch;

#[cfg(test)]
mod tests;

pub use account::{Account, Limits, QuotaExceeded, Reservation, Usage, charge};
pub use watch::{Freed, Ledger, WatchError};
