//! Sees a server start: it may be built and still not run here, without io_uring for instance.
//!
//! Owns the process while it looks. Called by the module, after the build.

use super::build::last_lines;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to say that it listens.
const LIMIT: Duration = Duration::from_secs(20);

/// A process that does not outlive this value.
struct Process(Child);

impl Drop for Process {
    /// With SIGTERM first, so that a launcher can end what it has launched.
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let end = Instant::now() + LIMIT;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server and waits for its first line, then ends it.
pub(super) fn see_it_listen(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("an empty command")?;
    let child = Command::new(program)
        .args(arguments)
        .args(["--listen", "127.0.0.1:0", "--workers", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    let mut process = Process(child);
    let stdout = process.0.stdout.take();
    let (sender, first_line) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = stdout
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines());
        // The receiver may have given up.
        let _ = sender.send(lines.next());
    });
    let line = first_line
        .recv_timeout(LIMIT)
        .map_err(|_| format!("{program} says nothing for {LIMIT:?}"))?;
    match line {
        Some(Ok(line)) if line.contains(" listening on ") => Ok(()),
        Some(_) => Err(format!("{program} does not say where it listens")),
        None => Err(format!("it does not start: {}", said(process))),
    }
}

/// What an ending server has written to standard error.
fn said(mut process: Process) -> String {
    let stderr = process.0.stderr.take();
    drop(process);
    let mut text = String::new();
    if let Some(mut stderr) = stderr {
        // What cannot be read is missing from the reason, no more.
        let _ = stderr.read_to_string(&mut text);
    }
    last_lines(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(script: &str) -> Result<(), String> {
        // The options that follow are arguments of the script.
        see_it_listen(&["sh", "-c", script].map(str::to_owned))
    }

    #[test]
    fn a_server_must_say_that_it_listens() {
        assert_eq!(
            see("echo a listening on 127.0.0.1:1; exec sleep 60"),
            Ok(())
        );
        let error = see("echo no io_uring here >&2; exit 1").unwrap_err();
        assert_eq!(error, "it does not start: no io_uring here");
        assert!(see("echo hello").is_err());
        assert!(see_it_listen(&["/no/such/program".to_owned()]).is_err());
    }
}
