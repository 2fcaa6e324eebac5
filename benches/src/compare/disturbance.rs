//! What else the machine did while a sample was taken.
//!
//! Owns [`Watch`], from before a sample until all its processes have ended, and the limits above
//! which a sample counts as disturbed. Called by the module.

use crate::process;
use crate::report;
use serde::Serialize;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Before each sample this is how often, and for how long, the machine must let a thread sleep.
const NAPS: u32 = 50;
const NAP: Duration = Duration::from_millis(1);

/// A nap that is longer by this was a pause of the machine: schedulers and timers take less.
const MAX_HICCUP: Duration = Duration::from_millis(5);

/// The share of all CPUs that the hypervisor may keep.
const MAX_STOLEN: f64 = 0.01;

/// What other processes may use, in CPUs. A shell or an editor stays below.
const MAX_OTHERS: f64 = 0.05;

/// The share of the time in which a pinned load thread may be ready and not running.
const MAX_WAITING: f64 = 0.05;

/// Ticks of `/proc/stat` per second: `USER_HZ`, part of the kernel's ABI.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(crate) struct Watch {
    hiccup: Duration,
    began: Instant,
    busy: Busy,
    own: Duration,
}

/// What one sample met.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Disturbance {
    /// The longest oversleeping of a thread just before the sample, with nothing else to do.
    pub(crate) hiccup_ns: u64,
    /// The share of all CPUs' time that the hypervisor kept.
    pub(crate) stolen: f64,
    /// CPUs that other processes used, at least: interrupts are not attributed.
    pub(crate) others: f64,
    pub(crate) load_average: f64,
    /// What was above its limit, one phrase each.
    pub(crate) reasons: Vec<String>,
}

/// Seconds of all CPUs together since the system started.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Busy {
    cpus: f64,
    running_s: f64,
    stolen_s: f64,
}

impl Watch {
    /// Looks whether the machine is quiet, for 50 ms, and begins.
    pub(crate) fn begin() -> Self {
        let hiccup = (0..NAPS).map(|_| {
            let began = Instant::now();
            thread::sleep(NAP);
            began.elapsed().saturating_sub(NAP)
        });
        Self {
            hiccup: hiccup.max().unwrap_or_default(),
            began: Instant::now(),
            busy: Busy::now(),
            own: process::own_cpu_time(),
        }
    }

    /// Ends when all processes of the sample have ended and been waited for. `waiting` is the greatest
    /// share of the time that a load thread, which has a CPU to itself, waited for it.
    pub(crate) fn end(self, waiting: Option<f64>) -> Disturbance {
        let seconds = self.began.elapsed().as_secs_f64();
        let own = process::own_cpu_time().saturating_sub(self.own);
        let (stolen, others) = Busy::now().since(self.busy, own.as_secs_f64(), seconds);
        Disturbance::judged(self.hiccup, stolen, others, waiting)
    }
}

impl Disturbance {
    fn judged(hiccup: Duration, stolen: f64, others: f64, waiting: Option<f64>) -> Self {
        let hiccup_ns = hiccup.as_nanos() as u64;
        let mut reasons = Vec::new();
        if hiccup > MAX_HICCUP {
            reasons.push(format!(
                "the machine paused for {} just before",
                report::time(hiccup_ns)
            ));
        }
        if stolen > MAX_STOLEN {
            reasons.push(format!("the hypervisor kept {:.1} %", stolen * 100.0));
        }
        if others > MAX_OTHERS {
            reasons.push(format!("other processes used {others:.2} CPUs"));
        }
        if let Some(waiting) = waiting
            && waiting > MAX_WAITING
        {
            reasons.push(format!(
                "a load thread waited for its CPU for {:.0} % of the time",
                waiting * 100.0
            ));
        }
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next();
        Self {
            hiccup_ns,
            stolen,
            others,
            load_average: load.and_then(|load| load.parse().ok()).unwrap_or(0.0),
            reasons,
        }
    }

    pub(crate) fn is_harmful(&self) -> bool {
        !self.reasons.is_empty()
    }
}

impl Busy {
    fn now() -> Self {
        Self::read(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The share of all CPUs that was stolen in the `seconds` since `before`, and the CPUs that were used
    /// beside the `own_s` seconds.
    fn since(self, before: Self, own_s: f64, seconds: f64) -> (f64, f64) {
        let others = (self.running_s - before.running_s - own_s) / seconds;
        let stolen = (self.stolen_s - before.stolen_s) / (seconds * self.cpus.max(1.0));
        (stolen, others.max(0.0))
    }

    /// Interrupts are left out: some kernels charge them to whom they interrupt, others do not.
    fn read(stat: &str) -> Self {
        let cpus = stat.lines().filter(|line| line.starts_with("cpu")).count();
        let mut lines = stat.lines();
        let ticks: Vec<f64> = lines
            .next()
            .into_iter()
            .flat_map(|all| all.split_whitespace().skip(1))
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let seconds = |field: usize| ticks.get(field).map_or(0.0, |n| n / TICKS_PER_SECOND);
        Self {
            cpus: cpus.saturating_sub(1) as f64,
            running_s: seconds(0) + seconds(1) + seconds(2),
            stolen_s: seconds(7),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_understood() {
        let stat = "cpu  100 20 30 4000 5 600 700 80 0 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        let busy = Busy {
            cpus: 2.0,
            running_s: 1.5,
            stolen_s: 0.8,
        };
        assert_eq!(Busy::read(stat), busy);
        assert!(Busy::now().cpus >= 1.0 && Busy::now().running_s > 0.0);
    }

    #[test]
    fn each_disturbance_is_named() {
        let quiet = Duration::from_micros(60);
        let reasons = |hiccup, stolen, others, waiting| {
            let disturbance = Disturbance::judged(hiccup, stolen, others, waiting);
            assert_eq!(disturbance.is_harmful(), !disturbance.reasons.is_empty());
            disturbance.reasons.len()
        };
        assert_eq!(reasons(quiet, 0.0, 0.01, Some(0.01)), 0);
        assert_eq!(reasons(Duration::from_millis(8), 0.0, 0.0, None), 1);
        assert_eq!(reasons(quiet, 0.02, 0.0, None), 1);
        assert_eq!(reasons(quiet, 0.0, 0.5, None), 1);
        assert_eq!(reasons(quiet, 0.0, 0.0, Some(0.1)), 1);
    }

    #[test]
    fn own_time_is_no_disturbance() {
        let at = |running_s, stolen_s| Busy {
            cpus: 2.0,
            running_s,
            stolen_s,
        };
        let (stolen, others) = at(15.0, 3.4).since(at(10.0, 3.0), 4.0, 2.0);
        assert!(
            (stolen - 0.1).abs() < 1e-9,
            "0.4 of 2 CPUs in 2 s: {stolen}"
        );
        assert!(
            (others - 0.5).abs() < 1e-9,
            "1 s of 5 is not ours: {others}"
        );
        assert_eq!(at(12.0, 0.0).since(at(10.0, 0.0), 3.0, 2.0).1, 0.0);
    }
}
