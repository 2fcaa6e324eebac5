//! A program that runs to its end: the load, or a program of `rt`.
//!
//! Invariant: it has ended, or was killed, when [`run`] returns. Called by `sample`.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often an end is looked for: seldom, so that looking takes nothing from what is measured.
const STEP: Duration = Duration::from_millis(20);

/// How long the output of a program that has ended may take.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    /// The last line on standard error; empty when there is none.
    pub(crate) complaint: String,
}

/// Runs a program for at most `limit`. An error is one phrase.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Finished, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let status = wait(&mut child, limit).map_err(|error| format!("{program}: {error}"))?;
    let text = |output: mpsc::Receiver<String>| {
        output
            .recv_timeout(OUTPUT_LIMIT)
            .map_err(|_| format!("{program} has ended, but somebody keeps its output open"))
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    let complaint = stderr.lines().rfind(|line| !line.trim().is_empty());
    Ok(Finished {
        status,
        stdout,
        complaint: complaint.unwrap_or_default().to_owned(),
    })
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is all there is.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        // Nobody waits any more when the program was killed.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    output
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => thread::sleep(STEP),
            Ok(None) => {
                // Both fail only when it has ended just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not finished within {limit:?}"));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Finished, String> {
        run(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn output_and_complaint_are_kept() {
        let script = "echo out; echo first >&2; echo last >&2; echo >&2; exit 3";
        let finished = shell(script, Duration::from_secs(20)).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!((&*finished.stdout, &*finished.complaint), ("out\n", "last"));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let began = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(100)).unwrap_err();
        assert!(error.contains("not finished within 100ms"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
