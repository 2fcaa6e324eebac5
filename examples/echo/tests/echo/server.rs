//! Owns the server as a child process, and what Linux tells about it.
//!
//! Invariants: every wait has a deadline; the process is killed when its value is dropped. It
//! inherits the environment, so that a test run can be repeated with another `LLAM_IO_BACKEND` or
//! `LLAM_WORKERS`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take, also on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn echo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_echo"))
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: Receiver<String>,
}

/// What a server left behind.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
    /// From the signal to the exit.
    pub(crate) took: Duration,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Sockets, files and pipes. Not the kernel's own objects (rings, epoll, eventfd): a worker
    /// makes some when it is first needed.
    /// Sockets, files and pipes. Not the kernel's own objects (rings, epoll, eventfd): a worker
    /// makes some when it is first needed.
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) resident_kib: usize,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = echo()
            .args(["--listen", "127.0.0.1:0", "--quiet"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            lines,
        };
        let line = server
            .lines
            .recv_timeout(LIMIT)
            .expect("the server says it listens");
        let address = line.strip_prefix("echo listening on ");
        server.address = address
            .and_then(|address| address.parse().ok())
            .expect("an address");
        server
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn stop_with(mut self, signal: &str) -> Stopped {
        let start = Instant::now();
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("there is a shell");
        assert!(status.success(), "{kill} failed");
        let status = wait_for_exit(&mut self.child);
        let took = start.elapsed();
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            lines.push(line);
        }
        Stopped {
            status,
            lines,
            took,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        let process = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
        let number = |key: &str| {
            let line = status
                .lines()
                .find(|line| line.starts_with(key))
                .expect("a known key");
            line.split_whitespace()
                .nth(1)
                .and_then(|word| word.parse().ok())
                .expect("a number")
        };
        Usage {
            descriptors: fs::read_dir(format!("{process}/fd"))
                .expect("it runs")
                .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
                .filter(|target| !target.to_string_lossy().starts_with("anon_inode:"))
                .count(),
            threads: number("Threads:"),
            resident_kib: number("VmRSS:"),
        }
    }

    /// Waits until the server has closed all but `descriptors`.
    pub(crate) fn settle(&self, descriptors: usize) -> Usage {
        let end = Instant::now() + LIMIT;
        loop {
            let usage = self.usage();
            if usage.descriptors <= descriptors {
                return usage;
            }
            assert!(
                Instant::now() < end,
                "{usage:?}, expected {descriptors} descriptors"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stopped {
    /// (connections, bytes) of the closing line, checked: exit code 0 and one line.
    pub(crate) fn report(&self) -> (u64, u64) {
        assert!(
            self.status.success(),
            "the server ended with {:?}",
            self.status
        );
        let [line] = &self.lines[..] else {
            panic!("not one closing line: {:?}", self.lines)
        };
        let numbers = line.strip_prefix("echo stopped; connections=");
        let (connections, bytes) = numbers
            .and_then(|rest| rest.split_once(" bytes_echoed="))
            .unwrap_or_else(|| panic!("{line:?}"));
        (
            connections.parse().expect("a number"),
            bytes.parse().expect("a number"),
        )
    }
}

/// Connects with deadlines for everything.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server accepts");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Waits for the end of a process; kills it and fails when that takes too long.
pub(crate) fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("process {} did not end within {LIMIT:?}", child.id());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Joins a thread; fails when it does not end in time.
pub(crate) fn join_within<T>(limit: Duration, what: &str, thread: thread::JoinHandle<T>) -> T {
    let end = Instant::now() + limit;
    while !thread.is_finished() {
        assert!(Instant::now() < end, "{what} did not end within {limit:?}");
        thread::sleep(Duration::from_millis(2));
    }
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
