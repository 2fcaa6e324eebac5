//! What Linux tells about a process and a thread: CPU time, resident memory, limits.
//!
//! Read from `/proc`, so any process of this user can be looked at. Called by `load`, `echo`, `idle`
//! and `rt`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{Duration, Instant};

/// Ticks of `/proc/PID/stat` per second: `USER_HZ`, part of the kernel's ABI on every architecture
/// that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// When it was looked at.
    pub(crate) at: Instant,
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
}

/// Looks at a process. An error is one phrase.
pub(crate) fn usage(pid: u32) -> Result<Usage, String> {
    let cpu = cpu_time(pid).ok_or_else(|| gone(pid))?;
    let resident_bytes = resident_bytes(pid).ok_or_else(|| gone(pid))?;
    Ok(Usage {
        at: Instant::now(),
        cpu,
        resident_bytes,
    })
}

fn gone(pid: u32) -> String {
    format!("cannot look at process {pid}: it has ended, or /proc is not there")
}

/// CPU time of all threads, those that have ended too, in steps of 10 ms.
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * 1000 / TICKS_PER_SECOND,
    ))
}

fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// What the calling thread has had: time on a CPU, and time ready to run without one (zero where the
/// kernel does not count it).
pub(crate) fn thread_times() -> (Duration, Duration) {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    let running = Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds);
    let waiting = fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos);
    (running, waiting)
}

/// Asks for as many descriptors as are allowed; children inherit the limit. An error says how many
/// there are when `needed` is more.
pub(crate) fn allow_descriptors(needed: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    // Failing leaves the limit as it was, which is checked next.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if allowed < needed as u64 {
        return Err(format!(
            "{needed} descriptors are needed and {allowed} allowed; see ulimit -Hn"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_of_this_process_are_counted() {
        let before = usage(std::process::id()).unwrap();
        let bytes = vec![1_u8; 64 << 20];
        let end = Instant::now() + Duration::from_secs(20);
        let target = before.cpu + Duration::from_millis(200);
        let mut ones = 0;
        let mut after = before;
        while after.cpu < target {
            assert!(Instant::now() < end, "the CPU time does not grow");
            ones = bytes.iter().filter(|byte| **byte == 1).count();
            after = usage(std::process::id()).unwrap();
        }
        assert_eq!(ones, bytes.len());
        assert!(after.resident_bytes >= before.resident_bytes + (48 << 20));
        assert!(usage(u32::MAX).is_err());
    }

    #[test]
    fn threads_have_their_own_time() {
        let (before, _) = thread_times();
        let end = Instant::now() + Duration::from_secs(20);
        while thread_times().0 < before + Duration::from_millis(20) {
            assert!(Instant::now() < end, "the thread's time does not grow");
        }
    }
}
