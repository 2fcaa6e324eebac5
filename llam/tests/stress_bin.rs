//! Runs the stress program for a few seconds, with one worker and with several. It checks itself;
//! see its source for what.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SECONDS: &str = "5";

/// Far more than the seconds asked for: the program's own watchdog comes first.
const LIMIT: Duration = Duration::from_secs(90);

fn stress(workers: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llam-rs-stress"))
        .args([SECONDS, workers])
        .env_remove("LLAM_WORKERS")
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts");
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("the stress program did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status:?}; the seed is above");
}

#[test]
fn stress_with_one_worker() {
    stress("1");
}

#[test]
fn stress_with_four_workers() {
    stress("4");
}
