//! The server under measurement.
//!
//! Owns [`Server`]: an address, and the process behind it when that is known. A server that is started
//! here is the echo example, in its own process, so that its CPU time and memory are its own. It is
//! ended when its value is dropped. Called by `echo` and `idle`.

use crate::args::{Profile, ServerArguments};
use crate::process::{self, Usage};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to say that it listens, and to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// Programs of one build differ by less.
const SAME_BUILD: Duration = Duration::from_secs(120);

/// Where the echo example's sources are.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What a report says about it.
    pub(crate) description: String,
    /// What a reader should know before trusting the result.
    pub(crate) note: Option<String>,
    pid: Option<u32>,
    child: Option<Child>,
}

impl Server {
    /// The one that was named, or a new one. An error is one phrase.
    pub(crate) fn from_arguments(arguments: &ServerArguments) -> Result<Self, String> {
        match arguments.address {
            Some(address) => Ok(Self {
                address,
                description: address.to_string(),
                note: None,
                pid: arguments.pid,
                child: None,
            }),
            None => Self::start(arguments.server_workers, arguments.profile),
        }
    }

    fn start(workers: Option<u32>, profile: Profile) -> Result<Self, String> {
        let program = find_program()?;
        let mut command = Command::new(&program);
        command
            .args(["--listen", "127.0.0.1:0", "--quiet"])
            .env("LLAM_RUNTIME_PROFILE", profile.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let workers_text = match workers {
            Some(workers) => {
                command.args(["--workers", &workers.to_string()]);
                format!("workers {workers}")
            }
            None => "one worker per CPU".to_owned(),
        };
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let stdout = child.stdout.take();
        let mut server = Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            description: format!("{}, {workers_text}, {}", program.display(), profile.name()),
            note: age_note(&program),
            pid: Some(child.id()),
            child: Some(child),
        };
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            // The receiver may have given up; the rest is read so that the server can write it.
            let _ = sender.send(lines.next());
            lines.for_each(drop);
        });
        server.address = first_line
            .recv_timeout(LIMIT)
            .ok()
            .flatten()
            .and_then(Result::ok)
            .and_then(|line| line.strip_prefix("echo listening on ")?.parse().ok())
            .ok_or_else(|| format!("{} does not say where it listens", program.display()))?;
        Ok(server)
    }

    /// Looks at the process, if it is known.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, String> {
        self.pid.map(process::usage).transpose()
    }

    /// Asks a server that was started here to stop, and says when it did not do so properly.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        kill_process(Pid::from_child(child), Signal::TERM)
            .map_err(|error| format!("cannot stop the server: {error}"))?;
        let end = Instant::now() + LIMIT;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server ended with {status}")),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(format!("the server does not stop within {LIMIT:?}")),
                Err(error) => return Err(format!("cannot wait for the server: {error}")),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The echo example next to this program; built when it is not there.
fn find_program() -> Result<PathBuf, String> {
    let own = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let folder = own.parent().ok_or("this program is in no folder")?;
    let program = folder.join("echo");
    if !program.is_file() {
        build_program(folder)?;
    }
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!(
            "there is no {}; cargo build -p echo makes it, --address measures another server",
            program.display()
        ))
    }
}

/// Says when the server may be of an older source than this program. The two are built by
/// different commands.
fn age_note(program: &Path) -> Option<String> {
    let built = |path: &Path| path.metadata().and_then(|file| file.modified());
    let own = built(&std::env::current_exe().ok()?).ok()?;
    let ahead = own.duration_since(built(program).ok()?).ok()?;
    (ahead > SAME_BUILD).then(|| {
        format!(
            "{} is older than llam-bench; cargo build -p echo brings it up to date",
            program.display()
        )
    })
}

/// Builds into the target folder and with the profile that this program's folder belongs to.
fn build_program(folder: &Path) -> Result<(), String> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().unwrap_or(folder);
    let status = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "echo",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(WORKSPACE)
        .status()
        .map_err(|error| format!("cannot build the echo example with cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("building the echo example failed with {status}"))
    }
}
