//! Which program is started as a server: an example of llam, or this program itself.
//!
//! Owns finding it, building it where it is missing, and saying when it may be older than this program.
//! Called by `server` and `compare`.

use crate::args::Mode;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Programs of one build differ by less.
const SAME_BUILD: Duration = Duration::from_secs(120);

/// Where the examples' sources are.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A server that can be started here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The echo example.
    Echo,
    /// `serve http` of this program.
    Http,
    /// The chat example.
    Chat(Mode),
}

impl Program {
    /// Its file and the arguments before all others. An error is one phrase.
    pub(crate) fn command(self) -> Result<(PathBuf, &'static [&'static str]), String> {
        match self {
            Self::Echo => Ok((find_example("echo")?, &["--quiet"])),
            Self::Http => Ok((own_path()?, &["serve", "http"])),
            Self::Chat(Mode::Lossless) => Ok((find_example("chat")?, &["--quiet", "--lossless"])),
            Self::Chat(Mode::BestEffort) => {
                Ok((find_example("chat")?, &["--quiet", "--best-effort"]))
            }
        }
    }

    /// Adds that it listens on a free port of this machine, and how many workers it has.
    pub(crate) fn place(self, command: &mut Command, workers: Option<u32>) {
        let workers = workers.map(|workers| workers.to_string());
        match self {
            Self::Echo | Self::Http => {
                command.args(["--listen", "127.0.0.1:0"]);
                if let Some(workers) = workers {
                    command.args(["--workers", &workers]);
                }
            }
            // It has a port and no option for workers.
            Self::Chat(_) => {
                command.arg("0");
                if let Some(workers) = workers {
                    command.env("LLAM_WORKERS", workers);
                }
            }
        }
    }
}

pub(crate) fn own_path() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))
}

/// An example next to this program; built when it is not there.
pub(crate) fn find_example(name: &str) -> Result<PathBuf, String> {
    let own = own_path()?;
    let folder = own.parent().ok_or("this program is in no folder")?;
    let program = folder.join(name);
    if !program.is_file() {
        build_example(name, folder)?;
    }
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!(
            "there is no {}; cargo build -p {name} makes it, --address measures another server",
            program.display()
        ))
    }
}

/// Says when the server may be of an older source than this program. The two are built by
/// different commands.
pub(crate) fn age_note(program: &Path) -> Option<String> {
    let built = |path: &Path| path.metadata().and_then(|file| file.modified());
    let own = built(&std::env::current_exe().ok()?).ok()?;
    let ahead = own.duration_since(built(program).ok()?).ok()?;
    (ahead > SAME_BUILD).then(|| {
        let name = program.file_name().unwrap_or_default();
        format!(
            "{} is older than llam-bench; cargo build -p {} brings it up to date",
            program.display(),
            name.display()
        )
    })
}

/// Builds into the target folder and with the profile that this program's folder belongs to.
fn build_example(name: &str, folder: &Path) -> Result<(), String> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().unwrap_or(folder);
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--package", name, "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(WORKSPACE)
        .status()
        .map_err(|error| format!("cannot build the {name} example with cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("building the {name} example failed with {status}"))
    }
}
