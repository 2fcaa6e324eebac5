//! Bad command lines and addresses.

use crate::server::{echo, wait_for_exit};
use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Runs to the end; gives exit code, standard output and standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let status = wait_for_exit(&mut child);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    (status.code(), stdout, stderr)
}

/// One clear line that names the culprit, nothing on standard output, this exit code.
fn assert_refused(arguments: &[&str], code: i32, culprit: &str) {
    let (status, stdout, stderr) = run(echo().args(arguments));
    assert_eq!(status, Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr:?}");
    assert!(
        stderr.contains(culprit),
        "{arguments:?}: {stderr:?} does not name {culprit:?}"
    );
}

#[test]
fn help_goes_to_standard_output() {
    let (status, stdout, stderr) = run(echo().arg("--help"));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for word in ["--listen", "--workers", "--quiet", "127.0.0.1:9090"] {
        assert!(stdout.contains(word), "{word} is missing in {stdout}");
    }
}

#[test]
fn bad_command_lines_are_refused() {
    assert_refused(&["--listen"], 2, "--listen");
    assert_refused(&["--listen", "127.0.0.1:65536"], 2, "65536");
    assert_refused(&["--workers", "0"], 2, "0");
    assert_refused(&["--loud"], 2, "--loud");
}

#[test]
fn an_address_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(&["--listen", &address], 1, &address);
}
