//! The server under measurement.
//!
//! Owns [`Server`]: an address, and the process behind it when that is known. A server that is started
//! here (see `program`) has its own process, so that its CPU time and memory are its own. It is
//! ended when its value is dropped. Called by the subcommands that load servers.

use crate::args::{Profile, ServerArguments};
use crate::process::{self, Usage};
use crate::program::{self, Program};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to say that it listens, and to stop.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What a report says about it.
    pub(crate) description: String,
    /// What a reader should know before trusting the result.
    pub(crate) note: Option<String>,
    pid: Option<u32>,
    child: Option<Child>,
    /// What a server that was started here prints after its first line.
    lines: Option<mpsc::Receiver<String>>,
}

impl Server {
    /// The one that was named, or a new process of `program`. An error is one phrase.
    pub(crate) fn from_arguments(
        arguments: &ServerArguments,
        program: Program,
    ) -> Result<Self, String> {
        // A wrong number is better told before the run than behind it.
        arguments.pid.map(process::usage).transpose()?;
        match arguments.address {
            Some(address) => Ok(Self {
                address,
                description: address.to_string(),
                note: None,
                pid: arguments.pid,
                child: None,
                lines: None,
            }),
            None => Self::start(program, arguments.server_workers, arguments.profile),
        }
    }

    fn start(program: Program, workers: Option<u32>, profile: Profile) -> Result<Self, String> {
        let (path, arguments) = program.command()?;
        let mut command = Command::new(&path);
        command
            .args(arguments)
            .env("LLAM_RUNTIME_PROFILE", profile.name());
        program.place(&mut command, workers);
        let workers_text = match workers {
            Some(workers) => format!("workers {workers}"),
            None => "one worker per CPU".to_owned(),
        };
        let mut server = Self::launch(&mut command)?;
        server.description = format!("{}, {workers_text}, {}", path.display(), profile.name());
        server.note = program::age_note(&path);
        Ok(server)
    }

    /// Starts a program that prints ` listening on ADDRESS` in its first line. When standard error is
    /// piped, its last line is part of the error of a program that does not.
    pub(crate) fn launch(command: &mut Command) -> Result<Self, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let lines = read_lines(child.stdout.take());
        let complaint = child.stderr.take().map(read_last);
        let mut server = Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            description: program.clone(),
            note: None,
            pid: Some(child.id()),
            child: Some(child),
            lines: None,
        };
        let line = lines.recv_timeout(LIMIT).ok();
        server.lines = Some(lines);
        match line.as_deref().and_then(address_in) {
            Some(address) => server.address = address,
            None => {
                // Ends the program, so that its complaint is complete.
                drop(server);
                let complaint = complaint.and_then(|complaint| complaint.recv_timeout(LIMIT).ok());
                let complaint = complaint.filter(|line| !line.is_empty());
                return Err(match complaint {
                    Some(line) => format!("{program} does not say where it listens: {line}"),
                    None => format!("{program} does not say where it listens"),
                });
            }
        }
        Ok(server)
    }

    /// The process of a server that was started here, or that was named.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Looks at the process, if it is known.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, String> {
        self.pid.map(process::usage).transpose()
    }

    /// How a server that was started here has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// As [`stop`](Self::stop); gives what the server has printed, `None` of one that was not started
    /// here.
    pub(crate) fn stop_and_read(mut self) -> Result<Option<Vec<String>>, String> {
        let lines = self.lines.take();
        self.stop()?;
        // Ends when the server's end of the pipe is closed, which it is by now.
        let next = |lines: &mpsc::Receiver<String>| lines.recv_timeout(LIMIT).ok();
        Ok(lines.map(|lines| std::iter::from_fn(|| next(&lines)).collect()))
    }

    /// Asks a server that was started here to stop, and says when it did not do so properly.
    pub(crate) fn stop(self) -> Result<(), String> {
        match self.terminate()? {
            Some(status) if !status.success() => Err(format!("the server ended with {status}")),
            _ => Ok(()),
        }
    }

    /// Sends SIGTERM to a server that was started here and waits for its end, however it takes it.
    pub(crate) fn terminate(mut self) -> Result<Option<ExitStatus>, String> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        kill_process(Pid::from_child(child), Signal::TERM)
            .map_err(|error| format!("cannot stop the server: {error}"))?;
        let end = Instant::now() + LIMIT;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(Some(status)),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(format!("the server does not stop within {LIMIT:?}")),
                Err(error) => return Err(format!("cannot wait for the server: {error}")),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            // What a server of several processes leaves behind would stay for ever.
            let descendants = process::descendants(child.id());
            // All of these fail when somebody has ended already.
            let _ = child.kill();
            for process in descendants {
                let process = i32::try_from(process).ok().and_then(Pid::from_raw);
                let _ = process.map(|process| kill_process(process, Signal::KILL));
            }
            let _ = child.wait();
        }
    }
}

/// The lines of a pipe as they come. All are read, so that the program can write them.
fn read_lines(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let lines = pipe
            .into_iter()
            .flat_map(|pipe| BufReader::new(pipe).lines().map_while(Result::ok));
        // Nobody may ask any more.
        lines.for_each(|line| drop(sender.send(line)));
    });
    lines
}

/// The last line that is not empty, sent at the end.
fn read_last(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, last_line) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        let lines = lines.filter(|line| !line.trim().is_empty());
        // Nobody asks when the program worked.
        let _ = sender.send(lines.last().unwrap_or_default());
    });
    last_line
}

/// `NAME listening on ADDRESS`, and maybe more.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once(" listening on ")?;
    address.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_behind_the_words() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let lines = [
            "a listening on 127.0.0.1:80",
            "b listening on 127.0.0.1:80 mode=x",
        ];
        assert_eq!(lines.map(address_in), [Some(address); 2]);
        for line in ["", "listening on", "a listening on nothing", "127.0.0.1:80"] {
            assert_eq!(address_in(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_that_does_not_listen_is_quoted() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo first >&2; echo no address >&2; exit 3"])
            .stderr(Stdio::piped());
        let error = Server::launch(&mut command).unwrap_err();
        assert_eq!(error, "sh does not say where it listens: no address");
        let error = Server::launch(&mut Command::new("/nonexistent/x")).unwrap_err();
        assert!(error.starts_with("cannot start /nonexistent/x"), "{error}");
    }
}
