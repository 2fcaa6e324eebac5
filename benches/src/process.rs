//! What Linux tells about a process and a thread: CPU time, resident memory, limits.
//!
//! A server may be several processes, so [`usage`] is the sum over a process and its descendants that
//! are alive. Read from `/proc` and from the processes' CPU clocks, so any process of this user can be
//! looked at. Called by `load`, `echo`, `idle`, `rt` and `compare`.

use nix::time::{clock_getcpuclockid, clock_gettime as clock_gettime_of};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{Duration, Instant};

/// What a process and its descendants have used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// When it was looked at.
    pub(crate) at: Instant,
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
}

/// Looks at a process and its descendants. An error is one phrase.
///
/// CPU time is in nanoseconds and includes threads that have ended, but not descendants that have
/// ended. The kernel brings it up to date when a thread leaves the CPU and at each of its ticks, so a
/// thread that never pauses is behind by 1 to 10 ms.
///
/// Memory of several processes counts a page that they share once (the sum of their proportional
/// shares), so that a server of processes is not charged for its program per process.
pub(crate) fn usage(pid: u32) -> Result<Usage, String> {
    let descendants = descendants(pid);
    let gone = || format!("cannot look at process {pid}: it has ended, or /proc is not there");
    let mut cpu = cpu_time(pid).ok_or_else(gone)?;
    let mut resident = if descendants.is_empty() {
        resident_bytes(pid)
    } else {
        share_bytes(pid)
    }
    .ok_or_else(gone)?;
    for child in descendants {
        // It may have ended since it was listed.
        cpu += cpu_time(child).unwrap_or_default();
        resident += share_bytes(child).unwrap_or_default();
    }
    Ok(Usage {
        at: Instant::now(),
        cpu,
        resident_bytes: resident,
    })
}

/// All that are alive below `pid`, without it. Empty too where the kernel does not list children
/// (`CONFIG_PROC_CHILDREN`).
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let threads = fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace();
            found.extend(children.filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found.split_off(1)
}

/// What the process's CPU clock shows.
fn cpu_time(pid: u32) -> Option<Duration> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    let clock = clock_getcpuclockid(pid).ok()?;
    Some(clock_gettime_of(clock).ok()?.into())
}

fn resident_bytes(pid: u32) -> Option<u64> {
    bytes_of(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// A process's share of what is resident: its own pages, and of shared ones the part that falls to it.
/// All that is resident where the kernel does not tell that.
fn share_bytes(pid: u32) -> Option<u64> {
    bytes_of(&format!("/proc/{pid}/smaps_rollup"), "Pss:").or_else(|| resident_bytes(pid))
}

/// A field that is given in KiB.
fn bytes_of(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// CPU time of this process and of all descendants that it, or their parents, have waited for.
pub(crate) fn own_cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let used_by = |who| {
        getrusage(who).map_or(Duration::ZERO, |usage| {
            [usage.user_time(), usage.system_time()]
                .into_iter()
                .map(|time| {
                    Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64)
                })
                .sum()
        })
    };
    used_by(UsageWho::RUSAGE_SELF) + used_by(UsageWho::RUSAGE_CHILDREN)
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
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

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

    /// What a shell's child does counts for the shell, and 20 ms are seen as such.
    #[test]
    fn descendants_are_counted() {
        let mut shell = Command::new("sh")
            // Ends by itself, should this test not come to its end.
            .args(["-c", "(ulimit -t 20; while :; do :; done) & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let child: u32 = line.trim().parse().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let own = cpu_time(shell.id()).unwrap();
        while usage(shell.id()).unwrap().cpu < own + Duration::from_millis(20) {
            assert!(Instant::now() < end, "the child's time does not grow");
        }
        assert!(cpu_time(shell.id()).unwrap() < own + Duration::from_millis(20));
        let both = usage(shell.id()).unwrap().resident_bytes;
        assert!(both > share_bytes(child).unwrap());
        let child = rustix::process::Pid::from_raw(child as i32).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_child_that_was_waited_for_counts_as_own() {
        let before = own_cpu_time();
        let loops = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = Command::new("sh").args(["-c", loops]).status().unwrap();
        assert!(status.success());
        assert!(own_cpu_time() > before + Duration::from_millis(10));
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
