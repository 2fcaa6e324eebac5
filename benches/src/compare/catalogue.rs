//! Who takes part: llam's own programs, and those that `cargo xtask rivals` has built.
//!
//! Owns the format of the catalogue, the command line that starts each entry, and the choice by name.
//! Called by the module.

use super::arguments::{CompareArguments, Kind};
use crate::args::Mode;
use crate::program::{self, Program};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `cargo xtask rivals` writes its catalogue.
const CATALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/rivals/rivals.json");

/// The entry that all others are compared with.
pub(crate) const OURS: &str = "llam";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Only in what is made here; a catalogue that claims it is refused.
    #[serde(skip_deserializing)]
    Ours,
    Peer,
    /// A bare loop over the kernel: what the machine can do, and no peer.
    Limit,
}

/// The file that `cargo xtask rivals` writes.
#[derive(Debug, Default, Deserialize)]
struct Catalogue {
    built: Vec<Built>,
    #[serde(default)]
    skipped: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Built {
    name: String,
    kind: Kind,
    role: Role,
    #[serde(default)]
    version: String,
    command: Vec<String>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    kind: Kind,
    why: String,
}

/// One that takes part.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) version: String,
    /// The whole command line, but for the options that are passed to programs of rt.
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// What a reader should know before trusting its result.
    pub(crate) note: Option<String>,
}

/// One that does not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// All that were chosen, ours first, then peers, then limits.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) entries: Vec<Entry>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Entry {
    pub(crate) fn process(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .envs(self.environment.iter().cloned());
        command
    }
}

impl Field {
    /// Those of the catalogue and our own that the command line asks for. An error is one phrase.
    pub(crate) fn choose(arguments: &CompareArguments) -> Result<Self, String> {
        let path = arguments.catalogue.clone();
        let catalogue = read(&path.unwrap_or_else(|| PathBuf::from(CATALOGUE)))?;
        let mut entries = own(arguments)?;
        let kind = arguments.kind.in_catalogue();
        for role in [Role::Peer, Role::Limit] {
            let built = catalogue.built.iter();
            let built = built.filter(|built| built.kind == kind && built.role == role);
            entries.extend(built.map(|built| built.entry(arguments)));
        }
        for (place, entry) in entries.iter().enumerate() {
            if entries[..place]
                .iter()
                .any(|other| other.name == entry.name)
            {
                return Err(format!("two entries are called {}", entry.name));
            }
        }
        let skipped = catalogue.skipped.into_iter();
        let skipped = skipped.filter(|listed| listed.kind == kind);
        let field = Self {
            entries,
            skipped: skipped
                .map(|Listed { name, why, .. }| Skipped { name, why })
                .collect(),
        };
        field.narrowed(arguments)
    }

    /// Without what `--with` and `--without` leave out.
    fn narrowed(mut self, arguments: &CompareArguments) -> Result<Self, String> {
        for name in arguments.with.iter().chain(&arguments.without) {
            let is_known = self.entries.iter().any(|entry| entry.name == *name);
            if let Some(skipped) = self.skipped.iter().find(|skipped| skipped.name == *name)
                && !is_known
            {
                return Err(format!("{name} was not built: {}", skipped.why));
            }
            if !is_known {
                let names: Vec<_> = self.entries.iter().map(|entry| &*entry.name).collect();
                return Err(format!("there is no {name}, only {}", names.join(", ")));
            }
        }
        let is_chosen = |name: &String| {
            (arguments.with.is_empty() || arguments.with.contains(name))
                && !arguments.without.contains(name)
        };
        self.entries.retain(|entry| is_chosen(&entry.name));
        self.skipped.retain(|skipped| is_chosen(&skipped.name));
        match self.entries.is_empty() {
            true => Err("nobody is left to be measured".to_owned()),
            false => Ok(self),
        }
    }
}

impl Built {
    fn entry(&self, arguments: &CompareArguments) -> Entry {
        let mut command = self.command.clone();
        if arguments.kind.has_server() {
            command.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
        }
        command.extend(["--workers".to_owned(), arguments.workers.to_string()]);
        match arguments.kind {
            Kind::Fanout => command.extend(["--mode", arguments.mode.name()].map(str::to_owned)),
            Kind::Rt => command.extend(["--runs", "1"].map(str::to_owned)),
            _ => {}
        }
        Entry {
            name: self.name.clone(),
            role: self.role,
            version: self.version.clone(),
            command,
            environment: Vec::new(),
            note: self.note.clone().filter(|note| !note.is_empty()),
        }
    }
}

fn read(path: &Path) -> Result<Catalogue, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!(
            "cannot read {}: {error}; cargo xtask rivals builds the rivals and writes it",
            path.display()
        )
    })?;
    let catalogue: Catalogue = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no catalogue: {error}", path.display()))?;
    let empty = catalogue
        .built
        .iter()
        .find(|built| built.command.is_empty());
    match empty {
        Some(built) => Err(format!("{}: {} has no command", path.display(), built.name)),
        None => Ok(catalogue),
    }
}

/// llam's own, and with `--drivers` once more on each driver.
fn own(arguments: &CompareArguments) -> Result<Vec<Entry>, String> {
    let (command, note) = own_command(arguments)?;
    let mut environment = vec![(
        "LLAM_RUNTIME_PROFILE".to_owned(),
        arguments.profile.name().to_owned(),
    )];
    if arguments.kind == Kind::Fanout {
        environment.push(("LLAM_WORKERS".to_owned(), arguments.workers.to_string()));
    }
    let automatic = Entry {
        name: OURS.to_owned(),
        role: Role::Ours,
        version: format!("llam {}", env!("CARGO_PKG_VERSION")),
        command,
        environment,
        note,
    };
    let mut entries = vec![automatic.clone()];
    if arguments.drivers {
        for driver in ["epoll", "uring"] {
            let mut entry = automatic.clone();
            entry.name = format!("{OURS}-{driver}");
            let variable = ("LLAM_IO_BACKEND".to_owned(), driver.to_owned());
            entry.environment.push(variable);
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn own_command(arguments: &CompareArguments) -> Result<(Vec<String>, Option<String>), String> {
    let workers = arguments.workers.to_string();
    let (file, words) = match arguments.kind {
        Kind::Echo | Kind::Idle => with_listener(Program::Echo.command()?, &workers),
        Kind::Http => with_listener(Program::Http.command()?, &workers),
        Kind::Fanout => {
            let mode = match arguments.mode {
                Mode::Lossless => "--lossless",
                Mode::BestEffort => "--best-effort",
            };
            (program::find_example("chat")?, vec!["0", "--quiet", mode])
        }
        Kind::Rt => (
            program::own_path()?,
            vec![
                "rt",
                "--json",
                "--profile",
                arguments.profile.name(),
                "--workers",
                &workers,
                "--runs",
                "1",
            ],
        ),
    };
    let note = program::age_note(&file);
    let mut command = vec![file.to_string_lossy().into_owned()];
    command.extend(words.into_iter().map(str::to_owned));
    Ok((command, note))
}

fn with_listener<'a>(
    (file, first): (PathBuf, &'static [&'static str]),
    workers: &'a str,
) -> (PathBuf, Vec<&'a str>) {
    let others = ["--listen", "127.0.0.1:0", "--workers", workers];
    (file, first.iter().copied().chain(others).collect())
}
