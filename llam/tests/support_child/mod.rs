//! Tests whose scene is a whole process: the test binary starts itself again with one ignored test.
//!
//! Owns [`child`] and [`finish`]. Invariant: a child never outlives its limit, and an ignored test
//! that stands for a child does nothing unless [`is_child`], so that running all ignored tests by
//! hand harms nobody. Used by the `invariants_*`, `limits_*` and `seccomp` tests.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const ROLE: &str = "LLAM_TEST_CHILD";

/// How long a child may take unless told otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a child left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The lines of standard error that contain `part`.
    pub(crate) fn stderr_lines(&self, part: &str) -> Vec<&str> {
        self.stderr
            .lines()
            .filter(|line| line.contains(part))
            .collect()
    }

    /// Passes the child's findings on to whoever reads the test's output, and insists on success.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        for line in self.stdout.lines() {
            if let Some(start) = line.find("| ") {
                println!("{}", &line[start..]);
            }
        }
        assert!(self.status.success(), "{}", self.text());
        assert!(
            self.stdout.contains("1 passed"),
            "the child ran its test: {}",
            self.text()
        );
        self
    }

    /// Everything, for a message.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}", self.status, self.stdout, self.stderr)
    }
}

/// This test binary, told to run its ignored test `name` and nothing else.
pub(crate) fn child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--ignored",
            "--exact",
            name,
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Whether this process was started by [`child`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Runs a child to its end; kills it and fails when that takes longer than the limit.
#[track_caller]
pub(crate) fn finish(mut command: Command, limit: Duration) -> Ended {
    let running = command.spawn().unwrap();
    let id = libc::pid_t::try_from(running.id()).unwrap();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || tell.send(running.wait_with_output()));
    let in_time = told.recv_timeout(limit);
    let late = in_time.is_err();
    if late {
        // SAFETY: a signal to a child of ours that has not been waited for: it has not answered.
        unsafe { libc::kill(id, libc::SIGKILL) };
    }
    let output = in_time.or_else(|_| told.recv_timeout(LIMIT));
    let output = output.expect("a child that was killed ends").unwrap();
    reader.join().unwrap().unwrap();
    let ended = Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!late, "longer than {limit:?}: {}", ended.text());
    ended
}

/// Bytes of memory that this process has resident.
pub(crate) fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * usize::try_from(page).unwrap()
}

/// A seed for a test's random choices, printed; `LLAM_TEST_SEED` repeats a run.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("LLAM_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            u64::from(now.subsec_nanos()) << 16 | u64::from(std::process::id() & 0xffff)
        });
    println!("| LLAM_TEST_SEED={seed}");
    seed
}

/// xorshift.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Keeps the CPU busy for up to so many nanoseconds.
    pub(crate) fn spin_up_to(&mut self, most_ns: u64) {
        let end = llam::time::now_ns() + self.below(most_ns);
        while llam::time::now_ns() < end {
            std::hint::spin_loop();
        }
    }
}
