//! A server that is running.
//!
//! Owns its process and that of its children: a value that is dropped leaves nothing behind. Used by each
//! check of a server.

use crate::LIMIT;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    child: Child,
}

impl Running {
    /// Starts a server on a port that the system chooses. Panics when it does not say where it listens.
    pub fn start(command: &[String], arguments: &[&str], workers: usize) -> Self {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--workers"])
            .arg(workers.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut running = Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            child,
        };
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // The receiver may have given up; the rest is read so that the server can write it.
            let _ = sender.send(lines.next());
            lines.for_each(drop);
        });
        let line = first_line
            .recv_timeout(LIMIT)
            .expect("the server says where it listens")
            .expect("the server prints a line")
            .expect("the line is text");
        let address = line
            .rsplit_once(" listening on ")
            .map(|(_, end)| end.parse());
        running.address = match address {
            Some(Ok(address)) => address,
            _ => panic!("the first line is {line:?}"),
        };
        assert_ne!(
            running.address.port(),
            0,
            "the port is the one that was chosen"
        );
        running
    }

    /// A connection whose reads and writes have a deadline.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, LIMIT).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a deadline");
        stream.set_write_timeout(Some(LIMIT)).expect("a deadline");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// Sends SIGTERM and waits for the end, which must be a success.
    pub fn stop(mut self) {
        let status = self
            .terminate()
            .expect("the server ends when it is told to");
        assert!(status.success(), "the server ended with {status}");
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).ok()?;
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Running {
    /// With SIGTERM first, so that it can end its children.
    fn drop(&mut self) {
        let _ = self.terminate();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
