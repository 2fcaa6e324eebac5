//! When requests are due.
//!
//! Owns [`Window`], the three instants of a run, and [`Schedule`], the fixed timetable of an open
//! loop: request `i` of the whole run is due `i / rate` after the start, on connection `i` modulo the
//! number of connections. A timetable never waits for the server, so a stalled server cannot make
//! its own stall look short. Pure. Called by the
//! threads of `load` and `fanout`.

use std::time::{Duration, Instant};

/// start, then the warm-up, then what is measured, then the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) measure_from: Instant,
    pub(crate) end: Instant,
}

impl Window {
    pub(crate) fn new(start: Instant, warmup: Duration, duration: Duration) -> Self {
        let measure_from = start + warmup;
        Self {
            start,
            measure_from,
            end: measure_from + duration,
        }
    }

    pub(crate) fn is_measured(&self, at: Instant) -> bool {
        self.measure_from <= at && at < self.end
    }
}

/// The timetable of one thread's connections, `first` being the number of its first one.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Instant,
    end: Instant,
    interval_s: f64,
    first: u64,
    /// Of this thread.
    connections: u64,
    all_connections: u64,
    /// How many of this thread's requests have been released.
    released: u64,
}

impl Schedule {
    pub(crate) fn new(
        window: Window,
        rate: f64,
        slots: &std::ops::Range<usize>,
        all_connections: usize,
    ) -> Self {
        Self {
            start: window.start,
            end: window.end,
            interval_s: 1.0 / rate,
            first: slots.start as u64,
            connections: slots.len() as u64,
            all_connections: all_connections as u64,
            released: 0,
        }
    }

    /// When the `round`-th request of this thread's connection number `slot` is due.
    pub(crate) fn due(&self, slot: usize, round: u64) -> Instant {
        let number = self.first + slot as u64 + round * self.all_connections;
        self.start + Duration::from_secs_f64(number as f64 * self.interval_s)
    }

    /// When the next request is due; `None` when that is after the end.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let slot = (self.released % self.connections) as usize;
        let due = self.due(slot, self.released / self.connections);
        (due < self.end).then_some(due)
    }

    /// The connection whose next request is due by `now`, once per request.
    pub(crate) fn release(&mut self, now: Instant) -> Option<usize> {
        if self.next_due()? > now {
            return None;
        }
        let slot = (self.released % self.connections) as usize;
        self.released += 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(length: Duration) -> Window {
        let start = Instant::now();
        Window {
            start,
            measure_from: start,
            end: start + length,
        }
    }

    #[test]
    fn threads_share_one_timetable() {
        let window = window(Duration::from_secs(1));
        let mut all = Vec::new();
        for slots in [0..2, 2..5] {
            let mut schedule = Schedule::new(window, 1000.0, &slots, 5);
            let mut rounds = vec![0; slots.len()];
            while let Some(slot) = schedule.release(window.end) {
                all.push(schedule.due(slot, rounds[slot]) - window.start);
                rounds[slot] += 1;
            }
        }
        all.sort();
        assert_eq!(all.len(), 1000);
        for (number, due) in all.iter().enumerate() {
            let expected = Duration::from_millis(number as u64);
            assert!(
                due.abs_diff(expected) < Duration::from_micros(1),
                "{number}: {due:?}"
            );
        }
    }

    #[test]
    fn nothing_is_released_before_it_is_due() {
        let window = window(Duration::from_secs(1));
        let mut schedule = Schedule::new(window, 100.0, &(0..1), 1);
        assert_eq!(schedule.release(window.start), Some(0));
        let before = window.start + Duration::from_micros(9_900);
        assert_eq!(schedule.release(before), None);
        let after = window.start + Duration::from_micros(10_100);
        assert_eq!(schedule.release(after), Some(0));
        assert_eq!(schedule.release(after), None);
    }
}
