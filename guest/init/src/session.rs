//! What programs are given: a user and an environment.

use crate::identity::Identity;

/// Where programs are looked up.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// As whom programs run, and with what in their environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// `None`: as root, there are no users.
    pub(crate) identity: Option<Identity>,
    /// What they find besides the user's own variables.
    pub(crate) extra: Vec<(String, String)>,
}

impl Session {
    /// The environment of a program of the session, or of root.
    pub(crate) fn env(&self, root: bool) -> Vec<(String, String)> {
        let mut env = vec![("PATH", PATH), ("LANG", "C.UTF-8")];
        let home;
        match self.identity.as_ref().filter(|_| !root) {
            Some(identity) => {
                home = identity.home.to_string_lossy();
                env.extend([
                    ("HOME", &*home),
                    ("USER", &identity.name),
                    ("LOGNAME", &identity.name),
                    ("SHELL", &identity.shell),
                ]);
            }
            None => env.extend([("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root")]),
        }
        let env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        env.chain(self.extra.iter().cloned()).collect()
    }

    /// One of the variables besides the user's own.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.extra.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets one of the variables besides the user's own.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.extra.retain(|(known, _)| known != name);
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// As whom a program runs.
    pub(crate) fn identity(&self, root: bool) -> Option<&Identity> {
        self.identity.as_ref().filter(|_| !root)
    }
}
