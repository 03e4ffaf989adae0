//! What the kernel was told on its command line.

use guest_control::Role;

use super::network::is_name;

/// The arguments that concern us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// `vwl.role=`; [`Role::Bare`] when it is not said.
    pub(crate) role: Role,
    /// `vwl.compositor=`: a program and its arguments that a compositor VM runs instead of our
    /// compositor.
    pub(crate) compositor: Option<Vec<String>>,
    /// `vwl.relay`: clients of other VMs come to that compositor by a relay.
    pub(crate) relay: bool,
    /// Each `vwl.run=`: a program and its arguments.
    pub(crate) run: Vec<Vec<String>>,
    /// `vwl.hostname=`: what the guest is called.
    pub(crate) hostname: Option<String>,
    /// `vwl.shell`: a person wants a root shell.
    pub(crate) shell: bool,
    /// What was meant for us and not understood.
    pub(crate) strange: Vec<String>,
}

impl CommandLine {
    /// Reads the text of `/proc/cmdline`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut line = Self {
            role: Role::Bare,
            compositor: None,
            relay: false,
            run: Vec::new(),
            hostname: None,
            shell: false,
            strange: Vec::new(),
        };
        for argument in text.split_ascii_whitespace() {
            // The kernel leaves the quotes that protect blanks.
            let Some(ours) = argument.trim_matches('"').strip_prefix("vwl.") else {
                continue;
            };
            if !line.take(ours) {
                line.strange.push(argument.to_owned());
            }
        }
        line
    }

    fn take(&mut self, argument: &str) -> bool {
        match argument.split_once('=') {
            Some(("role", "compositor")) => self.role = Role::Compositor,
            Some(("role", "app")) => self.role = Role::App,
            Some(("role", "bare")) => self.role = Role::Bare,
            Some((name @ ("run" | "compositor"), command)) => {
                let argv = guest_control::decode_command(command);
                if argv.is_empty() {
                    return false;
                }
                if name == "run" {
                    self.run.push(argv);
                } else {
                    self.compositor = Some(argv);
                }
            }
            Some(("hostname", name)) if is_name(name) => self.hostname = Some(name.to_owned()),
            None if argument == "shell" => self.shell = true,
            None if argument == "relay" => self.relay = true,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests;
