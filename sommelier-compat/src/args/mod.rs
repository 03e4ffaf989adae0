//! The command line, by the rules of Sommelier: options are matched by prefix,
//! values follow an equals sign, unknown options only warn, and the first
//! argument that is no option (or follows `--`) starts the program.

mod options;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub use options::{OPTIONS, Opt, Treatment, Value, find};

/// The Sommelier whose command line this is; programs see it as
/// `SOMMELIER_VERSION`.
pub const SOMMELIER_VERSION: &str = "0.20";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print how to use it.
    Help,
    /// Print the version.
    Version,
    /// Relay.
    Run(Box<Config>),
}

/// How to relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Listen for clients.
    pub parent: bool,
    /// Name of the listening socket, in `XDG_RUNTIME_DIR` unless absolute.
    pub socket: Option<OsString>,
    /// Compositor socket instead of the device.
    pub display: Option<OsString>,
    /// Never use the device.
    pub no_device: bool,
    /// A client's socket that was inherited.
    pub client_fd: Option<i32>,
    /// Go on when the program has ended.
    pub no_exit_with_child: bool,
    /// State to tell the service manager.
    pub sd_notify: Option<String>,
    /// -1 to 3, silent to verbose.
    pub log_level: Option<i32>,
    /// Hide `wl_surface.damage_buffer`.
    pub no_damage_buffer: bool,
    /// The program and its arguments.
    pub program: Vec<OsString>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// A command line that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `--option` without `=value`.
    #[error("option '{0}' needs a value: '{0}=VALUE'")]
    MissingValue(&'static str),
    /// A value that means nothing.
    #[error("'{value}' is not a valid value for '{option}': {expected}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What could have been.
        expected: &'static str,
    },
    /// Nothing to run.
    #[error("no program to run")]
    NoProgram,
    /// `--noop-driver` without `--display`.
    #[error("'--noop-driver' needs '--display=SOCKET'")]
    NoDisplay,
}

/// Reads the arguments (without the name of the program itself) and, through
/// `env`, the variables that stand for options that are not given.
///
/// # Errors
/// [`UsageError`], after which Sommelier exits with status 1.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    let mut parser = Parser::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            parser.config.program.extend(arguments);
            break;
        }
        if !argument.as_bytes().starts_with(b"-") {
            parser.config.program.push(argument);
            parser.config.program.extend(arguments);
            break;
        }
        if let Some(command) = parser.option(&argument)? {
            return Ok(command);
        }
    }
    parser.environment(env)?;
    parser.finish()
}

#[derive(Debug, Default)]
struct Parser {
    config: Config,
    given: Vec<&'static str>,
    unsupported: Vec<String>,
}

impl Parser {
    fn option(&mut self, argument: &OsStr) -> Result<Option<Command>, UsageError> {
        let Some(opt) = find(argument.as_bytes()) else {
            let text = argument.to_string_lossy();
            self.config
                .warnings
                .push(format!("option '{text}' is unknown, ignoring"));
            return Ok(None);
        };
        match opt.name {
            "-h" | "-?" | "--help" => return Ok(Some(Command::Help)),
            "-v" | "--version" => return Ok(Some(Command::Version)),
            _ => {}
        }
        let value = match opt.value {
            Value::None => OsString::new(),
            Value::Required => {
                let bytes = argument.as_bytes();
                let equals = bytes.iter().position(|byte| *byte == b'=');
                let equals = equals.ok_or(UsageError::MissingValue(opt.name))?;
                OsString::from_vec(bytes[equals + 1..].to_vec())
            }
        };
        self.given.push(opt.name);
        match opt.treatment {
            Treatment::Removed => self.config.warnings.push(removed(opt.name)),
            Treatment::Unsupported => self.unsupported.push(opt.name.into()),
            Treatment::Honoured | Treatment::Moot => {}
        }
        self.apply(opt, value)?;
        Ok(None)
    }

    /// Variables that Sommelier reads, for options that were not given.
    fn environment(&mut self, env: impl Fn(&str) -> Option<OsString>) -> Result<(), UsageError> {
        for opt in OPTIONS {
            let Some(name) = opt.env.filter(|_| !self.given.contains(&opt.name)) else {
                continue;
            };
            let Some(value) = env(name).filter(|value| !value.is_empty()) else {
                continue;
            };
            // Flags are switched by a number; these two are switched off.
            let off = value == "0";
            match (opt.value, name) {
                (_, "SOMMELIER_SUPPORT_DAMAGE_BUFFER" | "SOMMELIER_CLIPBOARD_MANAGER") if !off => {
                    continue;
                }
                (_, "SOMMELIER_SUPPORT_DAMAGE_BUFFER" | "SOMMELIER_CLIPBOARD_MANAGER") => {}
                (Value::None, _) if off => continue,
                _ => {}
            }
            match opt.treatment {
                Treatment::Removed => self.config.warnings.push(removed(name)),
                Treatment::Unsupported => self.unsupported.push(name.into()),
                Treatment::Honoured | Treatment::Moot => {}
            }
            self.apply(opt, value)?;
        }
        Ok(())
    }

    fn apply(&mut self, opt: &Opt, value: OsString) -> Result<(), UsageError> {
        let config = &mut self.config;
        match opt.name {
            "--parent" => config.parent = true,
            "--socket" => config.socket = Some(value),
            "--display" => config.display = Some(value),
            "--noop-driver" => config.no_device = true,
            "--no-exit-with-child" => config.no_exit_with_child = true,
            "--no-support-damage-buffer" => config.no_damage_buffer = true,
            "--sd-notify" => config.sd_notify = Some(value.to_string_lossy().into_owned()),
            "--log-level" => {
                let level = number(opt.name, &value, "a number from -1 to 3")?;
                config.log_level = Some(level);
            }
            "--client-fd" => {
                let fd = number(opt.name, &value, "the number of a descriptor")?;
                config.client_fd = Some(fd);
            }
            "--accelerators" | "--windowed-accelerators" => check_accelerators(opt.name, &value)?,
            "--fullscreen-mode" if value != "immersive" && value != "plain" => {
                return Err(bad_value(opt.name, &value, "'immersive' or 'plain'"));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Command, UsageError> {
        if !self.unsupported.is_empty() {
            let list = self.unsupported.join(", ");
            self.config
                .warnings
                .push(format!("not supported yet, without effect: {list}"));
        }
        let config = self.config;
        if config.program.is_empty() && config.client_fd.is_none() && !config.parent {
            return Err(UsageError::NoProgram);
        }
        if config.no_device && config.display.is_none() {
            return Err(UsageError::NoDisplay);
        }
        Ok(Command::Run(Box::new(config)))
    }
}

fn removed(name: &str) -> String {
    let instead = match name {
        "--master" => ", use '--parent'",
        "--drm-device" | "SOMMELIER_DRM_DEVICE" => ", use '--force-drm-device'",
        "--virtwl-device" | "SOMMELIER_VIRTWL_DEVICE" => ", set VIRTIO_WL_DEVICE",
        _ => "",
    };
    format!("'{name}' was removed from Sommelier, ignoring{instead}")
}

fn bad_value(option: &'static str, value: &OsStr, expected: &'static str) -> UsageError {
    UsageError::BadValue {
        option,
        value: value.to_string_lossy().into_owned(),
        expected,
    }
}

fn number(option: &'static str, value: &OsStr, expected: &'static str) -> Result<i32, UsageError> {
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.ok_or_else(|| bad_value(option, value, expected))
}

/// `<Control>`, `<Alt>` and `<Shift>` before the name of a key, comma
/// separated.
fn check_accelerators(option: &'static str, value: &OsStr) -> Result<(), UsageError> {
    let expected = "[<Control>][<Alt>][<Shift>]KEY, separated by commas";
    let text = value
        .to_str()
        .ok_or_else(|| bad_value(option, value, expected))?;
    for mut key in text.split(',') {
        while let Some(rest) = key.strip_prefix('<') {
            let known = rest
                .split_once('>')
                .filter(|(modifier, _)| ["Control", "Alt", "Shift"].contains(modifier));
            (_, key) = known.ok_or_else(|| bad_value(option, value, expected))?;
        }
    }
    Ok(())
}

/// The text of `--help`.
#[must_use]
pub fn usage() -> String {
    let mut text = String::from(
        "usage: sommelier [OPTION]... PROGRAM [ARGUMENT]...\n       \
         sommelier [OPTION]... --parent [--socket=NAME] [PROGRAM [ARGUMENT]...]\n\n\
         Options (details in sommelier(1)):\n",
    );
    for opt in OPTIONS {
        let note = match opt.treatment {
            Treatment::Honoured => "",
            Treatment::Moot => "  (accepted, has no effect here)",
            Treatment::Removed => "  (removed, ignored)",
            Treatment::Unsupported => "  (accepted, not supported yet)",
        };
        let value = if opt.value == Value::Required {
            "=VALUE"
        } else {
            ""
        };
        text.push_str(&format!("  {}{value}{note}\n", opt.name));
    }
    text
}

#[cfg(test)]
mod tests;
