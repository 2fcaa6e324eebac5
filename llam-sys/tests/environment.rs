//! Environment variables that a client can see the effect of: `abi.md` 5.16.
//!
//! One test sets variables at a time, under the lock of the suite; the engine reads them at init.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use common::*;
use llam_sys::*;

/// Sets variables while it lives.
struct Set(Vec<&'static str>);

fn set(variables: &[(&'static str, &str)]) -> Set {
    for (name, value) in variables {
        // SAFETY: the suite's lock is held, and no other thread of this process reads the
        // environment: the engine does so at init alone, which is on this thread.
        unsafe { std::env::set_var(name, value) };
    }
    Set(variables.iter().map(|(name, _)| *name).collect())
}

impl Drop for Set {
    fn drop(&mut self) {
        for name in &self.0 {
            // SAFETY: as in `set`.
            unsafe { std::env::remove_var(name) };
        }
    }
}

/// The statistics of a runtime that was initialised with these variables and options.
fn with(
    _serial: &Serial,
    variables: &[(&'static str, &str)],
    opts: &llam_runtime_opts_t,
) -> llam_runtime_stats_t {
    let _set = set(variables);
    ok!(unsafe { llam_runtime_init_ex(opts, LLAM_RUNTIME_OPTS_CURRENT_SIZE) });
    let stats = stats();
    unsafe { llam_runtime_shutdown() };
    stats
}

#[test]
fn preempt_mode_overrides_the_option() {
    let serial = serial();
    let mut opts = runtime_opts();
    opts.preempt_mode = LLAM_PREEMPT_COOPERATIVE;
    for (text, mode) in [
        ("off", 0),
        ("0", 0),
        ("false", 0),
        ("FALSE", 0),
        ("No", 0),
        ("disabled", 0),
        ("1", 1),
        ("cooperative", 1),
        ("coop", 1),
        ("2", 2),
        ("auto", 2),
        ("pressure", 2),
        ("3", 3),
        ("strict", 3),
        ("debug", 3),
        ("", 1),
        ("nonsense", 1),
        ("4", 1),
    ] {
        let stats = with(&serial, &[("LLAM_PREEMPT_MODE", text)], &opts);
        assert_eq!(stats.preempt_mode, mode, "LLAM_PREEMPT_MODE={text}");
    }
}

#[test]
fn the_old_spelling_counts_less() {
    let serial = serial();
    let opts = runtime_opts();
    let stats = with(&serial, &[("NM_PREEMPT_MODE", "strict")], &opts);
    assert_eq!(stats.preempt_mode, LLAM_PREEMPT_STRICT);
    let both = [("NM_PREEMPT_MODE", "strict"), ("LLAM_PREEMPT_MODE", "off")];
    assert_eq!(with(&serial, &both, &opts).preempt_mode, LLAM_PREEMPT_OFF);
}

#[test]
fn poll_period_and_quantum_are_clamped_numbers() {
    let serial = serial();
    let opts = runtime_opts();
    for (text, period) in [
        ("7", 7),
        ("4096", 4096),
        ("5000", 4096),
        ("+7", 1),
        (" 7", 1),
        ("7x", 1),
        ("-1", 1),
        ("", 1),
        ("99999999999999999999999", 1),
    ] {
        let stats = with(&serial, &[("LLAM_PREEMPT_POLL_PERIOD", text)], &opts);
        assert_eq!(
            stats.preempt_poll_period, period,
            "LLAM_PREEMPT_POLL_PERIOD={text:?}"
        );
    }
    for (text, quantum) in [
        ("5000", 5000),
        ("0", 0),
        ("2000000000", 1_000_000_000),
        ("1e6", 0),
        ("", 0),
    ] {
        let stats = with(&serial, &[("LLAM_PREEMPT_QUANTUM_NS", text)], &opts);
        assert_eq!(
            stats.preempt_quantum_ns, quantum,
            "LLAM_PREEMPT_QUANTUM_NS={text:?}"
        );
    }
}

#[test]
fn off_and_strict_force_the_period() {
    let serial = serial();
    let opts = runtime_opts();
    for (mode, period) in [("off", 0), ("strict", 1), ("coop", 9), ("auto", 9)] {
        let variables = [
            ("LLAM_PREEMPT_MODE", mode),
            ("LLAM_PREEMPT_POLL_PERIOD", "9"),
        ];
        assert_eq!(
            with(&serial, &variables, &opts).preempt_poll_period,
            period,
            "{mode}"
        );
    }
}

#[test]
fn the_profile_sets_the_default_period() {
    let serial = serial();
    let opts = runtime_opts();
    for (text, period) in [
        ("balanced", 1),
        ("default", 1),
        ("release-fast", 4),
        ("fast", 4),
        ("release", 4),
        ("debug-safe", 1),
        ("debug", 1),
        ("safe", 1),
        ("io-latency", 4),
        ("latency-io", 4),
        ("poll", 4),
        ("Fast", 1),
        ("", 1),
    ] {
        let stats = with(&serial, &[("LLAM_RUNTIME_PROFILE", text)], &opts);
        assert_eq!(
            stats.preempt_poll_period, period,
            "LLAM_RUNTIME_PROFILE={text}"
        );
    }
}

#[test]
fn an_override_does_not_excuse_a_bad_option() {
    let _serial = serial();
    let _set = set(&[
        ("LLAM_PREEMPT_MODE", "off"),
        ("LLAM_RUNTIME_PROFILE", "fast"),
    ]);
    let mut opts = runtime_opts();
    opts.profile = 9;
    fails!(unsafe { llam_runtime_init_ex(&opts, 56) }, libc::EINVAL);
}
