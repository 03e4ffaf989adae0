//! What may be asked.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::reply::{Added, Listing, QueueListing, Removed};

/// One request, as it is written: `{"add":{…}}`, `{"list":{}}`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Name a socket.
    Add(Add),
    /// Take a name away.
    Remove(Remove),
    /// Names, VFDs, totals.
    List(List),
    /// State of the virtqueues.
    Queues(Queues),
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Not JSON, an unknown request, or a field missing, unknown or of the wrong type.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The request's bytes.
    ///
    /// # Errors
    ///
    /// Only for a path that is not UTF-8.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Names a socket: with `path` a listening one, without it the connected one whose
/// descriptor comes along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Context name, 1 to 32 bytes; may contain one `%d`. No entry ever replaces another:
    /// a daemon that restarts removes its entry and adds it again.
    pub name: String,
    /// Where to connect when a context is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// Takes an entry away. A connected one that nobody has opened yet is closed by it;
/// contexts already open are not touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The name as it was answered to `add`.
    pub name: String,
}

/// Asks for a [`Listing`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Go on with VFDs from this id, as [`Listing::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// Only the named sockets, no VFDs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sockets_only: bool,
}

impl List {
    /// Only the named sockets.
    #[must_use]
    pub fn sockets() -> Self {
        Self {
            from: None,
            sockets_only: true,
        }
    }
}

/// Asks for a [`QueueListing`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queues {}

/// A request that knows the type of its answer.
pub trait Call: Into<Request> {
    /// What a device that agrees answers.
    type Answer: DeserializeOwned;
}

macro_rules! calls {
    ($($request:ident -> $answer:ty),* $(,)?) => {$(
        impl From<$request> for Request {
            fn from(request: $request) -> Self {
                Self::$request(request)
            }
        }

        impl Call for $request {
            type Answer = $answer;
        }
    )*};
}

calls! {
    Add -> Added,
    Remove -> Removed,
    List -> Listing,
    Queues -> QueueListing,
}
