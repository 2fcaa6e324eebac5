//! Makes the programs of the rivals, each framework on its own: one that cannot be built is an error of its
//! entries and of no others.
//!
//! Owns the commands and what they say when they fail. Called by the module.

use super::entries::{Entry, Source};
use crate::sdk;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of a failed command's output that are kept: the error is at the end.
const KEPT_LINES: usize = 12;

/// Names the SDK that the published crate is built on.
const SDK_VARIABLE: &str = "LLAM_RIVAL_SDK";

/// A program that was built.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The framework and its version.
    pub(super) version: String,
}

/// Builds each source once, whatever the number of its entries.
pub(super) struct Builder {
    sources: PathBuf,
    output: PathBuf,
    lock: String,
    done: HashMap<String, Result<(), String>>,
}

impl Builder {
    /// `sources` is the folder of the rivals' own workspace, `output` the one to build in.
    pub(super) fn new(sources: PathBuf, output: PathBuf) -> Result<Self, String> {
        let lock = sdk::read(&sources.join("Cargo.lock"))?;
        Ok(Self {
            sources,
            output,
            lock,
            done: HashMap::new(),
        })
    }

    /// The entry's program. An error says why there is none.
    pub(super) fn build(&mut self, entry: &Entry) -> Result<Program, String> {
        match entry.source {
            Source::Cargo { package, shown } => {
                let version = match shown {
                    Some(shown) => locked_version(&self.lock, shown)?,
                    None => first_line(Command::new("rustc").arg("--version"))?,
                };
                let mut cargo = self.cargo(package);
                self.once(package, &mut cargo)?;
                let path = self.output.join("release").join(entry.program);
                Ok(Program { path, version })
            }
            Source::Go => self.build_go(entry.program),
            Source::Nginx => self.build_nginx(entry.program),
            Source::Published => self.build_published(entry.program),
        }
    }

    fn cargo(&self, package: &str) -> Command {
        let mut cargo = Command::new(sdk::cargo());
        cargo
            .current_dir(&self.sources)
            .args(["build", "--quiet", "--release", "--locked"])
            .args(["--package", package, "--target-dir"])
            .arg(&self.output);
        cargo
    }

    fn build_go(&mut self, program: &str) -> Result<Program, String> {
        let mut version = Command::new("go");
        version
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local");
        if version.stderr(Stdio::null()).output().is_err() {
            return Err("there is no `go` on PATH".to_owned());
        }
        let version = first_line(&mut version)?;
        let path = self.output.join("go").join(program);
        let mut go = Command::new("go");
        go.current_dir(self.sources.join("go"))
            // What is on PATH is measured, and nothing is downloaded.
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .arg("build")
            .arg("-o")
            .arg(&path)
            .arg(format!("./{program}"));
        self.once(&format!("go {program}"), &mut go)?;
        Ok(Program { path, version })
    }

    fn build_nginx(&mut self, program: &str) -> Result<Program, String> {
        let mut version = Command::new("nginx");
        version.arg("-v");
        must_be_on_path(&mut version)?;
        let version = first_line(&mut version)?;
        let version = version.rsplit(": ").next().unwrap_or_default();
        let mut cargo = self.cargo("rival-nginx");
        self.once("rival-nginx", &mut cargo)?;
        Ok(Program {
            path: self.output.join("release").join(program),
            version: version.replace('/', " "),
        })
    }

    /// The published crate cannot be told to bring its own engine; it links the static library of an SDK.
    fn build_published(&mut self, program: &str) -> Result<Program, String> {
        let prefix = std::env::var_os(SDK_VARIABLE).ok_or_else(|| {
            format!("{SDK_VARIABLE} does not name the folder of an installed LLAM SDK")
        })?;
        let prefix = Path::new(&prefix).canonicalize().map_err(|error| {
            format!(
                "{SDK_VARIABLE} names {}, which cannot be found: {error}",
                prefix.display()
            )
        })?;
        let library = prefix.join("lib/libllam_runtime.a");
        if !library.is_file() {
            return Err(format!("{SDK_VARIABLE}: there is no {}", library.display()));
        }
        let folder = self.sources.join("published");
        let version = locked_version(&sdk::read(&folder.join("Cargo.lock"))?, "llam")?;
        let output = self.output.join("published");
        let mut cargo = Command::new(sdk::cargo());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LLAM_SYS_") {
                cargo.env_remove(name);
            }
        }
        cargo
            .current_dir(folder)
            .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
            .arg(&output)
            .env("LLAM_SYS_PREFIX", prefix)
            .env("LLAM_SYS_LINK_KIND", "static");
        self.once("rival-published", &mut cargo)?;
        Ok(Program {
            path: output.join("release").join(program),
            version,
        })
    }

    /// Runs a command the first time that `what` is asked for, and remembers how it went.
    fn once(&mut self, what: &str, command: &mut Command) -> Result<(), String> {
        if let Some(result) = self.done.get(what) {
            return result.clone();
        }
        println!("building {what}");
        let result = run(command);
        self.done.insert(what.to_owned(), result.clone());
        result
    }
}

/// An error says that the program of this command is not installed.
fn must_be_on_path(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "`{program}` does not tell its version: {}",
            last_lines(&String::from_utf8_lossy(&output.stderr))
        )),
        Err(_) => Err(format!("there is no `{program}` on PATH")),
    }
}

/// Runs a command to its end; an error has the last lines that it wrote.
fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{program}` ended with {}:\n{}",
        output.status,
        last_lines(&said)
    ))
}

/// The end of what a command has written.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n")
}

/// The first line that a command prints, on standard output or else on standard error.
fn first_line(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .map(str::to_owned)
        .ok_or_else(|| format!("`{program}` does not tell its version"))
}

/// A package and its version, as a lock file has it. The greatest version of those that have one name.
fn locked_version(lock: &str, package: &str) -> Result<String, String> {
    let name = format!("name = \"{package}\"");
    let versions = lock.split("[[package]]").filter_map(|text| {
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| *line == name)?;
        lines
            .next()?
            .strip_prefix("version = \"")?
            .strip_suffix('"')
    });
    let numbers = |version: &&str| -> Vec<u32> {
        let numbers = version.split(|letter: char| !letter.is_ascii_digit());
        numbers.filter_map(|number| number.parse().ok()).collect()
    };
    versions
        .max_by_key(numbers)
        .map(|version| format!("{package} {version}"))
        .ok_or_else(|| format!("benches/rivals/Cargo.lock has no `{package}`"))
}

/// Where a file is, or why it cannot be there.
pub(super) fn present(path: &Path) -> Result<(), String> {
    if path.is_file() {
        Ok(())
    } else {
        Err(format!("the build has made no {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"0.6.4\"\n\n[[package]]\nname = \"a\"\n\
                    version = \"0.10.2\"\n\n[[package]]\nname = \"ab\"\nversion = \"9.0.0\"\n";
        assert_eq!(locked_version(lock, "a").as_deref(), Ok("a 0.10.2"));
        assert_eq!(locked_version(lock, "ab").as_deref(), Ok("ab 9.0.0"));
        assert!(locked_version(lock, "b").is_err());
    }

    #[test]
    fn a_failed_command_tells_what_it_said_last() {
        let script = "for n in $(seq 30); do echo line $n >&2; done; exit 3";
        let error = run(Command::new("sh").args(["-c", script])).unwrap_err();
        assert!(error.ends_with("line 29\nline 30"), "{error}");
        assert_eq!(error.lines().count(), 1 + KEPT_LINES);
        assert!(
            error.starts_with("`sh` ended with exit status: 3"),
            "{error}"
        );
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.contains("cannot be started"), "{error}");
    }
}
