//! Owns the command line: turns arguments and two environment variables into a [`Config`].
//!
//! Invariant: a `Config` that exists is complete and consistent; nothing later in the program
//! looks at arguments or the environment again (the statistics path, read by `main`, apart).
//! Called once, by `main`, before the runtime starts.

use crate::outbox::Delivery;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: chat [PORT] [--public] [--lossless | --best-effort] [--quiet]

A line chat server: what one client types goes to all others.

  PORT           port to listen on, 0 to 65535; 0 lets the system choose (default 7777)
  --public       listen on all addresses (default: on 127.0.0.1 only)
  --best-effort  drop and count what a full outbox cannot take (default)
  --lossless     let the sender wait until the outbox has room
  --quiet        no line per client on standard error
  --help         print this and exit

environment:
  LLAM_CHAT_LOSSLESS=1     same as --lossless; an option on the command line wins
  LLAM_CHAT_QUIET=1        same as --quiet
  LLAM_CHAT_STATS_PATH=F   append the closing statistics line to F
";

const DEFAULT_PORT: u16 = 7777;

/// Everything that can be chosen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub(crate) address: SocketAddr,
    /// What happens when an outbox is full.
    pub(crate) delivery: Delivery,
    /// No line per client on standard error.
    pub(crate) quiet: bool,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Config),
    Help,
}

/// The two environment variables, read by the caller so that tests need not touch the process.
#[derive(Debug, Default, Clone)]
pub(crate) struct Environment {
    /// `LLAM_CHAT_LOSSLESS`
    pub(crate) lossless: Option<OsString>,
    /// `LLAM_CHAT_QUIET`
    pub(crate) quiet: Option<OsString>,
}

impl Environment {
    pub(crate) fn load() -> Self {
        Self {
            lossless: std::env::var_os("LLAM_CHAT_LOSSLESS"),
            quiet: std::env::var_os("LLAM_CHAT_QUIET"),
        }
    }
}

/// Why a command line was refused. `Display` is one phrase for standard error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    UnknownOption(String),
    BadPort(String),
    SecondPort(String),
    BothDeliveries,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption(text) => write!(f, "unknown option {text:?}"),
            Self::BadPort(text) => write!(f, "port {text:?} is not a number from 0 to 65535"),
            Self::SecondPort(text) => write!(f, "one port is enough, found another: {text:?}"),
            Self::BothDeliveries => f.write_str("--lossless and --best-effort exclude each other"),
        }
    }
}

/// Parses the arguments behind the program's name.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Command, UsageError> {
    let mut port = None;
    let mut ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut delivery = None;
    let mut quiet = is_switched_on(environment.quiet.as_ref());
    for argument in arguments {
        let argument = argument.to_string_lossy();
        match &*argument {
            "--help" | "-h" => return Ok(Command::Help),
            "--public" => ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "--quiet" => quiet = true,
            "--lossless" => choose_delivery(&mut delivery, Delivery::Lossless)?,
            "--best-effort" => choose_delivery(&mut delivery, Delivery::BestEffort)?,
            option if option.starts_with("--") => {
                return Err(UsageError::UnknownOption(option.to_owned()));
            }
            text if port.is_some() => return Err(UsageError::SecondPort(text.to_owned())),
            text => port = Some(parse_port(text)?),
        }
    }
    let from_environment = if is_switched_on(environment.lossless.as_ref()) {
        Delivery::Lossless
    } else {
        Delivery::BestEffort
    };
    Ok(Command::Serve(Config {
        address: SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT)),
        delivery: delivery.unwrap_or(from_environment),
        quiet,
    }))
}

fn choose_delivery(chosen: &mut Option<Delivery>, wanted: Delivery) -> Result<(), UsageError> {
    match chosen.replace(wanted) {
        Some(before) if before != wanted => Err(UsageError::BothDeliveries),
        _ => Ok(()),
    }
}

/// Digits only: `u16::from_str` would also take a plus sign.
fn parse_port(text: &str) -> Result<u16, UsageError> {
    let port = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    };
    port.ok_or_else(|| UsageError::BadPort(text.to_owned()))
}

/// `1`, `true`, `yes` and `on` in any case; everything else counts as unset.
fn is_switched_on(value: Option<&OsString>) -> bool {
    let text = value.map(|value| value.to_string_lossy().to_ascii_lowercase());
    matches!(text.as_deref(), Some("1" | "true" | "yes" | "on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str], environment: &Environment) -> Result<Command, UsageError> {
        parse(arguments.iter().map(OsString::from), environment)
    }

    fn config(arguments: &[&str], environment: &Environment) -> Config {
        match parsed(arguments, environment) {
            Ok(Command::Serve(config)) => config,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn defaults_are_loopback_best_effort() {
        let config = config(&[], &Environment::default());
        assert_eq!(config.address, "127.0.0.1:7777".parse().unwrap());
        assert_eq!(config.delivery, Delivery::BestEffort);
        assert!(!config.quiet);
    }

    #[test]
    fn options_in_any_order() {
        let config = config(
            &["--quiet", "0", "--lossless", "--public"],
            &Environment::default(),
        );
        assert_eq!(config.address, "0.0.0.0:0".parse().unwrap());
        assert_eq!(config.delivery, Delivery::Lossless);
        assert!(config.quiet);
    }

    #[test]
    fn environment_gives_way_to_options() {
        let environment = Environment {
            lossless: Some("1".into()),
            quiet: Some("on".into()),
        };
        assert_eq!(config(&[], &environment).delivery, Delivery::Lossless);
        assert!(config(&[], &environment).quiet);
        assert_eq!(
            config(&["--best-effort"], &environment).delivery,
            Delivery::BestEffort
        );
        let off = Environment {
            lossless: Some("0".into()),
            quiet: Some("".into()),
        };
        assert_eq!(config(&[], &off).delivery, Delivery::BestEffort);
        assert!(!config(&[], &off).quiet);
    }

    #[test]
    fn bad_input_is_refused() {
        for port in ["65536", "-1", "+80", "7777x", "", "99999999999999999999"] {
            assert_eq!(
                parsed(&[port], &Environment::default()),
                Err(UsageError::BadPort(port.to_owned()))
            );
        }
        for (arguments, error) in [
            (
                &["--loud"][..],
                UsageError::UnknownOption("--loud".to_owned()),
            ),
            (&["1", "2"][..], UsageError::SecondPort("2".to_owned())),
            (
                &["--lossless", "--best-effort"][..],
                UsageError::BothDeliveries,
            ),
        ] {
            assert_eq!(parsed(arguments, &Environment::default()), Err(error));
        }
    }

    #[test]
    fn help_wins() {
        assert_eq!(
            parsed(&["80", "--help"], &Environment::default()),
            Ok(Command::Help)
        );
    }
}
