//! What one load thread, or all of them together, measured.
//!
//! Invariants: a latency belongs to the window when its request was due there; the server's speed is
//! counted by answers that came within the window. Histograms hold nanoseconds with three digits.
//! Filled by `loader`, merged by the module, read by `throughput`.

use super::Plan;
use super::ledger::Faults;
use super::schedule::Window;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Length of the intervals of a histogram log.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Outcome {
    window: Window,
    has_intervals: bool,
    /// From when a request was due (closed loop: sent) to its whole answer.
    pub(crate) latency: Histogram<u64>,
    /// The same by the second in which the answer came; empty unless asked for.
    pub(crate) intervals: Vec<Histogram<u64>>,
    /// How late the load side was with requests whose connection was free when they were due.
    pub(crate) lateness: Histogram<u64>,
    /// From starting to connect to being connected, where connections are made during the run.
    pub(crate) connecting: Histogram<u64>,
    /// Answers that came within the window.
    pub(crate) answers: u64,
    /// Requests that were due in the window and were never sent or still open when the run was given
    /// up; they are in `latency` with the time they had taken so far.
    pub(crate) unfinished: u64,
    /// Times that this machine had no port left for a new connection.
    pub(crate) port_shortages: u64,
    pub(crate) faults: Faults,
    /// Why one of the first wrong answers was wrong, where that can be said.
    pub(crate) complaint: Option<String>,
    /// The share of the window that each thread ran, and that it waited for a CPU.
    pub(crate) threads: Vec<ThreadLoad>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ThreadLoad {
    pub(crate) running: f64,
    pub(crate) waiting: f64,
}

impl ThreadLoad {
    /// The share of the time in which it had something to do.
    pub(crate) fn wanted(self) -> f64 {
        self.running + self.waiting
    }
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    // Three digits are always allowed; the range grows with what is recorded.
    Histogram::new(3).expect("three digits are allowed")
}

/// Records a time.
pub(crate) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // `saturating_record` would cut off what is beyond the range so far.
    histogram
        .record(ns.max(1))
        .expect("a histogram that grows takes every value");
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, window: Window) -> Self {
        Self {
            window,
            has_intervals: plan.has_intervals,
            latency: histogram(),
            intervals: Vec::new(),
            lateness: histogram(),
            connecting: histogram(),
            answers: 0,
            unfinished: 0,
            port_shortages: 0,
            faults: Faults::default(),
            complaint: None,
            threads: Vec::new(),
        }
    }

    /// A whole answer came `now` for a request that was `due`.
    pub(crate) fn answered(&mut self, due: Instant, now: Instant) {
        if self.window.is_measured(now) {
            self.answers += 1;
        }
        self.latency_of(due, now);
    }

    /// A request that was `due` and not answered by `now`, and will not be.
    pub(crate) fn given_up(&mut self, due: Instant, now: Instant) {
        self.latency_of(due, now);
    }

    /// As [`given_up`](Self::given_up), because the run is over.
    pub(crate) fn cut_off(&mut self, due: Instant, now: Instant) {
        if self.window.is_measured(due) {
            self.unfinished += 1;
        }
        self.latency_of(due, now);
    }

    fn latency_of(&mut self, due: Instant, now: Instant) {
        if !self.window.is_measured(due) {
            return;
        }
        let time = now.saturating_duration_since(due);
        record(&mut self.latency, time);
        if self.has_intervals {
            let since = now.saturating_duration_since(self.window.measure_from);
            let number = (since.as_nanos() / INTERVAL.as_nanos()) as usize;
            if self.intervals.len() <= number {
                self.intervals.resize_with(number + 1, histogram);
            }
            record(&mut self.intervals[number], time);
        }
    }

    pub(crate) fn late_by(&mut self, due: Instant, now: Instant) {
        if self.window.is_measured(due) {
            record(&mut self.lateness, now.saturating_duration_since(due));
        }
    }

    pub(crate) fn connected_after(&mut self, began: Instant, now: Instant) {
        if self.window.is_measured(now) {
            record(&mut self.connecting, now.saturating_duration_since(began));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let add = |to: &mut Histogram<u64>, from| {
            to.add(from).expect("histograms that grow can be added");
        };
        add(&mut self.latency, &other.latency);
        add(&mut self.lateness, &other.lateness);
        add(&mut self.connecting, &other.connecting);
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize_with(other.intervals.len(), histogram);
        }
        for (to, from) in self.intervals.iter_mut().zip(&other.intervals) {
            add(to, from);
        }
        self.answers += other.answers;
        self.unfinished += other.unfinished;
        self.port_shortages += other.port_shortages;
        self.faults += other.faults;
        if self.complaint.is_none() {
            self.complaint.clone_from(&other.complaint);
        }
        self.threads.extend_from_slice(&other.threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Protocol;

    fn plan() -> Plan {
        Plan {
            address: ([127, 0, 0, 1], 1).into(),
            connections: 1,
            threads: 1,
            protocol: Protocol::Echo { size: 64 },
            pipeline: 1,
            rate: None,
            churn: None,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            has_intervals: true,
        }
    }

    #[test]
    fn only_the_window_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let window = plan().window(start);
        let mut outcome = Outcome::new(&plan(), window);
        outcome.answered(at(900), at(950));
        outcome.answered(at(990), at(1010));
        outcome.answered(at(1500), at(1700));
        outcome.answered(at(2900), at(3100));
        outcome.answered(at(3000), at(3001));
        assert_eq!(outcome.answers, 2, "answers that came in the window");
        assert_eq!(outcome.latency.len(), 2, "requests that were due in it");
        let ms = Duration::from_millis(200).as_nanos() as u64;
        assert!(outcome.latency.max().abs_diff(ms) * 500 < ms);
        assert!(outcome.latency.min().abs_diff(ms) * 500 < ms);
        let seconds: Vec<_> = outcome.intervals.iter().map(Histogram::len).collect();
        assert_eq!(seconds, [1, 0, 1]);
    }

    #[test]
    fn merging_adds_up() {
        let window = plan().window(Instant::now());
        let due = window.measure_from;
        let mut sum = Outcome::new(&plan(), window);
        for late in [1, 2_000_000] {
            let mut part = Outcome::new(&plan(), window);
            part.answered(due, due + Duration::from_micros(late));
            part.late_by(due, due + Duration::from_micros(late));
            part.cut_off(due, window.end);
            part.faults.lost = 2;
            sum.merge(&part);
        }
        assert_eq!((sum.answers, sum.unfinished, sum.faults.lost), (1, 2, 4));
        assert_eq!((sum.latency.len(), sum.lateness.len()), (4, 2));
        let counts: Vec<_> = sum.intervals.iter().map(Histogram::len).collect();
        assert_eq!(counts, [1, 0, 3]);
    }
}
