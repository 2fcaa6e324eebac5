//! Owns what the accept loop does after a failed accept: how long to wait and what to log.
//!
//! Invariants: the wait doubles from 10 ms to 1 s and starts over after a success; at most one
//! log line a second. The clock comes in as an argument. Called by `server`.

use std::io::{Error, ErrorKind};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LOG_PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct AcceptBackoff {
    pause: Option<Duration>,
    logged_at: Option<Instant>,
    /// Failures since the last log line.
    unreported: u64,
}

/// What to do about a failed accept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// How long to wait before the next try; zero when only that one connection had failed.
    pub(crate) pause: Duration,
    /// Number of failures to log now, with the error at hand; none when a line was written less
    /// than a second ago.
    pub(crate) report: Option<u64>,
}

impl AcceptBackoff {
    pub(crate) fn succeeded(&mut self) {
        self.pause = None;
    }

    pub(crate) fn failed(&mut self, error: &Error, now: Instant) -> Advice {
        self.unreported += 1;
        let is_due = self
            .logged_at
            .is_none_or(|then| now.duration_since(then) >= LOG_PERIOD);
        let report = is_due.then(|| {
            self.logged_at = Some(now);
            std::mem::take(&mut self.unreported)
        });
        let pause = if is_about_one_connection(error) {
            Duration::ZERO
        } else {
            let pause = self
                .pause
                .map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
            self.pause = Some(pause);
            pause
        };
        Advice { pause, report }
    }
}

/// The peer gave up before it was accepted; the next accept takes another connection, so trying
/// again at once cannot spin.
fn is_about_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_start_over_after_a_success() {
        let mut backoff = AcceptBackoff::default();
        let error = Error::from(ErrorKind::Other);
        let now = Instant::now();
        let mut pause_ms = || backoff.failed(&error, now).pause.as_millis();
        assert_eq!(
            [(); 9].map(|()| pause_ms()),
            [10, 20, 40, 80, 160, 320, 640, 1000, 1000]
        );
        backoff.succeeded();
        assert_eq!(backoff.failed(&error, now).pause, FIRST_PAUSE);
    }

    #[test]
    fn an_aborted_connection_costs_no_pause() {
        let mut backoff = AcceptBackoff::default();
        let advice = backoff.failed(&ErrorKind::ConnectionAborted.into(), Instant::now());
        assert_eq!(advice.pause, Duration::ZERO);
    }

    #[test]
    fn one_log_line_a_second_tells_of_all_failures() {
        let mut backoff = AcceptBackoff::default();
        let error = Error::from(ErrorKind::Other);
        let start = Instant::now();
        let mut report = |after_ms| {
            backoff
                .failed(&error, start + Duration::from_millis(after_ms))
                .report
        };
        assert_eq!(report(0), Some(1));
        assert_eq!(report(10), None);
        assert_eq!(report(999), None);
        assert_eq!(report(1000), Some(3));
        assert_eq!(report(1001), None);
    }
}
