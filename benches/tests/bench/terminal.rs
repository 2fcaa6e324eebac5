//! What is going on is drawn on a terminal, and nowhere else.

use crate::cheat::{Cheat, Server};
use crate::program::run;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

/// Runs the program with a terminal as its standard error; what it drew there.
fn drawn(address: &str, extra: &[&str]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&terminal).expect("it is ours");
    unlockpt(&terminal).expect("it is ours");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let name = name.into_string().expect("its name is text");
    let end = OpenOptions::new().read(true).write(true).open(name);
    let words = [
        "echo",
        "--duration",
        "600ms",
        "--warmup",
        "300ms",
        "--address",
        address,
    ];
    let child = Command::new(env!("CARGO_BIN_EXE_llam-bench"))
        .args(words)
        .args(extra)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(end.expect("it can be opened"))
        .spawn();
    let mut bytes = Vec::new();
    // Ends with an error when the program, which has the only other end, has ended.
    let _ = File::from(terminal).read_to_end(&mut bytes);
    let status = child
        .expect("it starts")
        .wait()
        .expect("it can be waited for");
    assert!(status.success(), "{status}");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_terminal_is_told_the_phase_and_how_much_is_done() {
    let server = Server::start(Cheat::Honest);
    let address = server.address.to_string();
    for extra in [&[][..], &["--json", "--progress"]] {
        let text = drawn(&address, extra);
        for word in ["warm-up, ", "measuring, ", " answers"] {
            assert!(text.contains(word), "{word}: {text:?}");
        }
    }
    assert_eq!(drawn(&address, &["--json"]), "");
}

#[test]
fn nothing_else_is() {
    let server = Server::start(Cheat::Honest);
    let address = server.address.to_string();
    let words = [
        "echo",
        "--duration",
        "200ms",
        "--warmup",
        "0s",
        "--progress",
        "--address",
    ];
    let finished = run(&[&words[..], &[&address]].concat());
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""));
}
