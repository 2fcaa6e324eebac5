//! Owns the program as a child process, and its JSON.
//!
//! Invariant: every run ends by a deadline, or the test fails.

use serde_json::Value;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long any run may take, also where the echo example must be built first.
const LIMIT: Duration = Duration::from_secs(300);

/// What a run left behind.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run(arguments: &[&str]) -> Finished {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llam-bench"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let code = wait(&mut child, arguments);
    Finished {
        code,
        stdout: stdout.join().expect("the output is text"),
        stderr: stderr.join().expect("the output is text"),
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut pipe = pipe.expect("it is piped");
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("the output is text");
        text
    })
}

fn wait(child: &mut Child, arguments: &[&str]) -> Option<i32> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("{arguments:?} did not end within {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A run of `echo` against a server of this test; the exit code and the JSON's result.
pub(crate) fn echo(address: SocketAddr, arguments: &[&str]) -> (Option<i32>, Value) {
    measure("echo", address, arguments)
}

/// The same with a subcommand of choice.
pub(crate) fn measure(
    subcommand: &str,
    address: SocketAddr,
    arguments: &[&str],
) -> (Option<i32>, Value) {
    let address = address.to_string();
    let mut all = vec![subcommand, "--json", "--address", &address];
    all.extend_from_slice(arguments);
    let finished = run(&all);
    let report = json(&finished);
    (finished.code, report["result"].clone())
}

pub(crate) fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", finished.stdout, finished.stderr))
}

/// A number of a report.
pub(crate) fn number(value: &Value, path: &str) -> f64 {
    value
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no number {path} in {value}"))
}
