//! Bad command lines, bad addresses, and running out of descriptors.

use crate::common::{Client, LIMIT, Server, chat, wait_for_exit};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
fn assert_refused(command: &mut Command, code: i32, culprit: &str) {
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(code), "{command:?}: {stderr}");
    assert_eq!(stdout, "", "{command:?}");
    assert_eq!(stderr.lines().count(), 1, "{command:?}: {stderr:?}");
    assert!(
        stderr.contains(culprit),
        "{command:?}: {stderr:?} does not name {culprit:?}"
    );
}

#[test]
fn help_goes_to_standard_output() {
    let (status, stdout, stderr) = run(chat().arg("--help"));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for word in [
        "PORT",
        "--public",
        "--lossless",
        "--best-effort",
        "--quiet",
        "7777",
    ] {
        assert!(stdout.contains(word), "{word} is missing in {stdout}");
    }
}

#[test]
fn bad_command_lines_are_refused() {
    assert_refused(chat().arg("65536"), 2, "65536");
    assert_refused(chat().arg("-1"), 2, "-1");
    assert_refused(chat().arg("http"), 2, "http");
    assert_refused(chat().args(["1", "2"]), 2, "2");
    assert_refused(chat().args(["0", "--loud"]), 2, "--loud");
    assert_refused(
        chat().args(["0", "--lossless", "--best-effort"]),
        2,
        "--lossless",
    );
}

#[test]
fn an_address_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    assert_refused(
        chat().arg(address.port().to_string()),
        1,
        &address.to_string(),
    );
}

#[test]
fn an_unusable_statistics_path_is_refused() {
    let path = "/no such directory/stats";
    assert_refused(chat().arg("0").env("LLAM_CHAT_STATS_PATH", path), 1, path);
}

#[test]
fn standard_output_that_cannot_be_written_is_refused() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = chat()
        .arg("0")
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let status = wait_for_exit(&mut child);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
    assert!(stderr.contains("standard output"), "{stderr:?}");
}

/// User and system time of a process so far.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // A tick is a hundredth of a second on every Linux that Rust runs on.
    Duration::from_millis(ticks * 10)
}

#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_neither_ends_the_server_nor_makes_it_spin() {
    let program = chat().get_program().to_owned();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 40; exec \"$0\" 0 --quiet"])
        .arg(program);
    command.stderr(Stdio::null());
    let server = Server::spawn(&mut command);
    let mut waiting: Vec<TcpStream> = Vec::new();
    for _ in 0..60 {
        waiting.push(TcpStream::connect_timeout(&server.address, LIMIT).unwrap());
    }
    // The last one in the queue cannot have been greeted: there are not that many descriptors.
    let last = waiting.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let before = cpu_time(server.pid());
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        let read = (&last).read(&mut [0; 1]);
        assert!(read.is_err(), "60 clients on 40 descriptors: {read:?}");
    }
    let burnt = cpu_time(server.pid()) - before;
    assert!(
        burnt < Duration::from_millis(400),
        "{burnt:?} of CPU time while out of descriptors"
    );
    // When others go, it gets its turn.
    drop(waiting);
    Client::greeted(last);
    server.stop().report();
}
