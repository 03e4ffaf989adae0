//! What `selftest-peer` and the tests say to each other on the context `host`.

/// Length of an order, bytes: the text, padded with spaces.
pub const ORDER: usize = 64;

/// Byte `at` of what the peer fills memory and streams with.
#[must_use]
pub fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap_or(0)
}

/// What the guest tells the peer to do. Each order is [`ORDER`] bytes; each answer begins with one
/// byte, `.`, which carries the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `memory N`: so many descriptors, each of so many bytes, filled with [`pattern`].
    Memory {
        /// How many descriptors, in one message.
        count: usize,
        /// Bytes of each; need not be whole pages.
        size: usize,
    },
    /// `sealed SIZE`: memory sealed against everything, as compositors send keymaps.
    Sealed {
        /// Bytes.
        size: usize,
    },
    /// `grow SIZE`: the last memory gets longer; its new part is filled with [`pattern`].
    Grow {
        /// Bytes then.
        size: usize,
    },
    /// `pipe-read`: the read end of a pipe that holds `through the pipe` and has ended.
    PipeRead,
    /// `pipe-write`: the write end of a pipe; what arrives there comes as data of this connection.
    PipeWrite,
    /// `socket`: one end of a socket pair whose other end is an echo.
    Socket,
    /// `flood N`: so many bytes of [`pattern`], after the `.`.
    Flood {
        /// Bytes.
        bytes: usize,
    },
    /// `close`: the peer hangs up, without an answer.
    Close,
}

impl Order {
    /// The text on the connection.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ORDER] {
        let text = match self {
            Order::Memory { count, size } => format!("memory {count} {size}"),
            Order::Sealed { size } => format!("sealed {size}"),
            Order::Grow { size } => format!("grow {size}"),
            Order::PipeRead => "pipe-read".to_owned(),
            Order::PipeWrite => "pipe-write".to_owned(),
            Order::Socket => "socket".to_owned(),
            Order::Flood { bytes } => format!("flood {bytes}"),
            Order::Close => "close".to_owned(),
        };
        let mut bytes = [b' '; ORDER];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    /// What the text means.
    #[must_use]
    pub fn parse(bytes: &[u8; ORDER]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        let verb = words.next()?;
        let mut number = || words.next()?.parse().ok();
        Some(match verb {
            "memory" => Order::Memory {
                count: number()?,
                size: number()?,
            },
            "sealed" => Order::Sealed { size: number()? },
            "grow" => Order::Grow { size: number()? },
            "pipe-read" => Order::PipeRead,
            "pipe-write" => Order::PipeWrite,
            "socket" => Order::Socket,
            "flood" => Order::Flood { bytes: number()? },
            "close" => Order::Close,
            _ => return None,
        })
    }
}
