//! The command line of `llam-bench compare`.
//!
//! Owns its options with their defaults and bounds, and which of them each kind has. Read by `args`
//! and by the module.

use crate::args::{Mode, Profile, parse_rate, parse_time};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What is compared: a subcommand of this program, which makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Echo,
    Http,
    Rt,
    Idle,
    Fanout,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Http => "http",
            Self::Rt => "rt",
            Self::Idle => "idle",
            Self::Fanout => "fanout",
        }
    }

    /// The kind under which the catalogue lists the programs.
    pub(crate) fn in_catalogue(self) -> Self {
        match self {
            Self::Idle => Self::Echo,
            other => other,
        }
    }

    /// Whether there is a server and a load, not one program that measures itself.
    pub(crate) fn has_server(self) -> bool {
        self != Self::Rt
    }
}

/// Options that the program gives to the subcommand itself.
const OWN: &[&str] = &[
    "--address",
    "--hlog",
    "--json",
    "--mode",
    "--pid",
    "--report",
    "--runs",
    "--workers",
];

#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArguments {
    /// The subcommand whose load is used
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Numbers of connections (fanout: clients), one row for each
    #[arg(long, value_name = "N,..", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: Vec<u32>,
    /// Requests per second over all connections, one row for each; 0: as fast as answers come
    #[arg(long, value_name = "R,..", value_delimiter = ',', value_parser = parse_rate)]
    pub(crate) rate: Vec<f64>,
    /// Requests that a connection has open at most, one row for each
    #[arg(long, value_name = "N,..", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) pipeline: Vec<u32>,
    /// Requests after which a connection is made again, one row for each
    #[arg(long, value_name = "N,..", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) churn: Vec<u64>,
    /// Samples of each entry in each row
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// Only entries of this name; can be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) with: Vec<String>,
    /// No entry of this name; can be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) without: Vec<String>,
    /// List llam on each of its I/O drivers as well, as llam-epoll and llam-uring
    #[arg(long)]
    pub(crate) drivers: bool,
    /// Workers of each server
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: u32,
    /// Profile of llam's runtime
    #[arg(long, value_enum, default_value_t = Profile::IoLatency)]
    pub(crate) profile: Profile,
    /// What a fanout server does when a client is slow
    #[arg(long, value_enum, default_value_t = Mode::Lossless)]
    pub(crate) mode: Mode,
    /// CPUs of the server, like 0 or 0,2 [default: the first of this process's CPUs, as many as
    /// --workers, when that leaves one for the load]
    #[arg(
        long,
        value_name = "CPU,..",
        value_delimiter = ',',
        conflicts_with = "no_pin"
    )]
    pub(crate) server_cpu: Vec<usize>,
    /// CPUs of the load [default: those that the server does not have]
    #[arg(
        long,
        value_name = "CPU,..",
        value_delimiter = ',',
        conflicts_with = "no_pin"
    )]
    pub(crate) load_cpu: Vec<usize>,
    /// Let the system place server and load
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// How often a sample that something else on the machine disturbed is taken again
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) repeats: u32,
    /// A load, or a program of rt, that takes longer has failed
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = parse_time)]
    pub(crate) limit: Duration,
    /// What is there to compare with [default: target/rivals/rivals.json, from cargo xtask rivals]
    #[arg(long, value_name = "FILE")]
    pub(crate) catalogue: Option<PathBuf>,
    /// One short sample of each, to see that everything works: no result to quote
    #[arg(long, conflicts_with = "runs")]
    pub(crate) quick: bool,
    /// Keep the histogram log of each sample in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) hlog: Option<PathBuf>,
    /// Print JSON in place of the tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Options for the subcommand, behind --
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) passed: Vec<String>,
}

/// One shape of load: options of the subcommand with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape(Vec<(&'static str, String)>);

impl Shape {
    /// As words of a command line.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .flat_map(|(option, value)| [(*option).to_owned(), value.clone()])
    }

    /// As the name of a row.
    pub(crate) fn name(&self) -> String {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(option, value)| format!("{} {value}", option.trim_start_matches('-')))
            .collect();
        match parts.is_empty() {
            true => "defaults".to_owned(),
            false => parts.join(", "),
        }
    }
}

impl CompareArguments {
    /// Every combination of the listed values; one without options when nothing is listed.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        let mut shapes = vec![Shape::default()];
        for (_, option, values) in self.axes() {
            if !values.is_empty() {
                shapes = shapes
                    .iter()
                    .flat_map(|shape| {
                        values.iter().map(|value| {
                            let mut shape = shape.clone();
                            shape.0.push((option, value.clone()));
                            shape
                        })
                    })
                    .collect();
            }
        }
        shapes
    }

    /// Each listing option, what the subcommand calls it, and its values.
    fn axes(&self) -> [(&'static str, &'static str, Vec<String>); 4] {
        fn texts<T: ToString>(values: &[T]) -> Vec<String> {
            values.iter().map(T::to_string).collect()
        }
        let connections = match self.kind {
            Kind::Fanout => "--clients",
            _ => "--connections",
        };
        [
            ("--connections", connections, texts(&self.connections)),
            ("--pipeline", "--pipeline", texts(&self.pipeline)),
            ("--churn", "--churn", texts(&self.churn)),
            ("--rate", "--rate", texts(&self.rate)),
        ]
    }

    /// What the definition of the command line cannot say. An error is one phrase.
    pub(crate) fn check(&self) -> Result<(), String> {
        let has = match self.kind {
            Kind::Echo | Kind::Http => &["--connections", "--pipeline", "--churn", "--rate"][..],
            Kind::Idle => &["--connections"],
            Kind::Fanout => &["--connections", "--pipeline", "--rate"],
            Kind::Rt => &[],
        };
        for (name, option, values) in self.axes() {
            if !values.is_empty() && !has.contains(&name) {
                return Err(format!("{} has no {name}", self.kind.name()));
            }
            if self.is_passed(option) {
                return Err(format!("{name} belongs before the --"));
            }
        }
        if let Some(option) = OWN.iter().find(|option| self.is_passed(option)) {
            return Err(format!("{option} is not for a load of compare"));
        }
        if self.hlog.is_some() && !matches!(self.kind, Kind::Echo | Kind::Http) {
            return Err(format!("{} has no --hlog", self.kind.name()));
        }
        Ok(())
    }

    /// Whether the subcommand gets this option from behind the `--`.
    fn is_passed(&self, option: &str) -> bool {
        self.passed
            .iter()
            .any(|word| word.split('=').next() == Some(option))
    }

    /// What the subcommand gets beside the shape, the short times of `--quick` included.
    pub(crate) fn passed(&self) -> Vec<String> {
        let mut words = self.passed.clone();
        if !self.quick {
            return words;
        }
        let short: &[(&str, &str)] = match self.kind {
            Kind::Echo | Kind::Http | Kind::Fanout => {
                &[("--duration", "300ms"), ("--warmup", "100ms")]
            }
            Kind::Idle => &[("--sample", "20")],
            Kind::Rt => &[("--divide", "1000")],
        };
        for (option, value) in short {
            if !self.is_passed(option) {
                words.extend([(*option).to_owned(), (*value).to_owned()]);
            }
        }
        words
    }

    pub(crate) fn runs(&self) -> u32 {
        if self.quick { 1 } else { self.runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Command};
    use clap::Parser;

    fn parsed(text: &str) -> CompareArguments {
        let words = ["llam-bench", "compare"].into_iter();
        match Arguments::parse_from(words.chain(text.split_whitespace())).command {
            Command::Compare(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shapes_are_all_combinations() {
        let names = |text| -> Vec<_> { parsed(text).shapes().iter().map(Shape::name).collect() };
        assert_eq!(names("echo"), ["defaults"]);
        assert_eq!(
            names("echo --connections 1,64 --rate 0,1000"),
            [
                "connections 1, rate 0",
                "connections 1, rate 1000",
                "connections 64, rate 0",
                "connections 64, rate 1000"
            ]
        );
        let shapes = parsed("fanout --connections 7").shapes();
        assert_eq!(
            shapes[0].arguments().collect::<Vec<_>>(),
            ["--clients", "7"]
        );
    }

    #[test]
    fn a_kind_has_its_own_options_only() {
        assert_eq!(parsed("echo --churn 5 -- --size 100").check(), Ok(()));
        for bad in [
            "rt --connections 1",
            "idle --rate 5",
            "fanout --churn 2",
            "idle --hlog x",
            "echo -- --connections 5",
            "echo -- --rate=5",
            "fanout -- --clients 5",
            "fanout -- --mode lossless",
            "echo -- --json",
            "echo -- --pid=5",
        ] {
            assert!(parsed(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn quick_gives_way_to_what_is_passed() {
        let quick = parsed("echo --quick -- --duration=1s");
        assert_eq!(quick.runs(), 1);
        assert_eq!(quick.passed(), ["--duration=1s", "--warmup", "100ms"]);
        assert_eq!(parsed("echo").passed().len(), 0);
        assert_eq!(parsed("echo").runs(), 5);
    }
}
