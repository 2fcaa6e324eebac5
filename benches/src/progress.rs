//! What is going on, as one line on standard error while something runs.
//!
//! Invariants: nothing is drawn unless standard error is a terminal; with `--json` only when
//! `--progress` asks for it; the line is gone when its value is dropped, so that it never stands beside
//! a result. Used by the subcommands and by `load`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

/// How often the line is drawn: seldom enough to cost a measured machine nothing.
const PERIOD: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Progress {
    /// `None`: nobody watches.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A line for a person who waits.
    pub(crate) fn new(is_json: bool, is_asked_for: bool) -> Self {
        let is_drawn = io::stderr().is_terminal() && (!is_json || is_asked_for);
        Self {
            bar: is_drawn.then(|| {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template("{prefix}{msg} [{bar:30}] {elapsed}");
                // The template is a constant that the tests draw.
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar
            }),
        }
    }

    /// Begins a part of a longer run, such as a step of a sweep.
    pub(crate) fn part(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{name}: "));
        }
    }

    /// Begins something that consists of so many steps.
    pub(crate) fn phase(&self, name: &'static str, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(name);
            bar.set_length(steps);
            bar.set_position(0);
        }
    }

    /// So many steps are done.
    pub(crate) fn at(&self, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(steps);
        }
    }

    /// Sleeps from `from` until `until`, and shows how far that is and how many `things` are done.
    pub(crate) fn sleep(
        &self,
        name: &'static str,
        from: Instant,
        until: Instant,
        things: &'static str,
        done: impl Fn() -> u64,
    ) {
        let left = || until.saturating_duration_since(Instant::now());
        let Some(bar) = &self.bar else {
            return thread::sleep(left());
        };
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        bar.set_length(ms(until.saturating_duration_since(from)));
        while !left().is_zero() {
            thread::sleep(left().min(PERIOD));
            bar.set_position(ms(from.elapsed()));
            bar.set_message(format!("{name}, {} {things}", done()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
