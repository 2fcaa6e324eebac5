//! What a runtime was asked to be: options, then environment, then what follows from both
//! (`abi.md` 3, 5.13, 5.16). Pure: the environment comes in as a function.

use crate::errno::Result;

/// Most workers a runtime may have.
pub(crate) const MAX_WORKERS: usize = 256;
const MAX_POLL_PERIOD: u32 = 4096;
const MAX_QUANTUM_NS: u64 = 1_000_000_000;

/// `llam_runtime_opts_t` once it has been read: every field has a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawOptions {
    pub(crate) deterministic: u32,
    pub(crate) forced_yield_every: u32,
    pub(crate) experimental_flags: u64,
    pub(crate) idle_spin_ns: u64,
    pub(crate) idle_spin_max_iters: u32,
    pub(crate) sqpoll_cpu: i32,
    pub(crate) profile: u32,
    pub(crate) preempt_mode: u32,
    pub(crate) preempt_poll_period: u32,
    pub(crate) preempt_quantum_ns: u64,
    /// Not part of the ABI: 0 means one per CPU.
    pub(crate) workers: u32,
}

impl Default for RawOptions {
    fn default() -> Self {
        Self {
            deterministic: 0,
            forced_yield_every: 0,
            experimental_flags: 0,
            idle_spin_ns: 0,
            idle_spin_max_iters: 0,
            sqpoll_cpu: -1,
            profile: 0,
            preempt_mode: PreemptMode::Auto as u32,
            preempt_poll_period: 0,
            preempt_quantum_ns: 0,
            workers: 0,
        }
    }
}

/// `llam_preempt_mode_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum PreemptMode {
    Off = 0,
    Cooperative = 1,
    Auto = 2,
    Strict = 3,
}

impl PreemptMode {
    fn from_raw(raw: u32) -> Option<Self> {
        [Self::Off, Self::Cooperative, Self::Auto, Self::Strict]
            .get(raw as usize)
            .copied()
    }
}

/// Which driver the environment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackendChoice {
    Best,
    Uring,
    Readiness,
}

/// The effective settings of a live runtime.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) workers: usize,
    pub(crate) deterministic: bool,
    /// Deterministic runs: 0 keeps the order first in, first out; else seeds a shuffle.
    pub(crate) seed: u64,
    pub(crate) forced_yield_every: u32,
    pub(crate) idle_spin_ns: u64,
    pub(crate) idle_spin_max_iters: u32,
    pub(crate) preempt_mode: PreemptMode,
    pub(crate) preempt_poll_period: u32,
    pub(crate) preempt_quantum_ns: u64,
    pub(crate) backend: BackendChoice,
}

/// `EINVAL` for a bad profile or preemption mode; checked before anything else is.
pub(crate) fn validate(raw: &RawOptions) -> Result<()> {
    if raw.profile > 3 || PreemptMode::from_raw(raw.preempt_mode).is_none() {
        return Err(libc::EINVAL);
    }
    Ok(())
}

impl Options {
    /// Settles the options. `cpus` is the number the process may use.
    pub(crate) fn settle(
        raw: &RawOptions,
        cpus: usize,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let read = |name: &str| {
            environment(&format!("LLAM_{name}")).or_else(|| environment(&format!("NM_{name}")))
        };
        let profile = read("RUNTIME_PROFILE")
            .and_then(|text| parse_profile(&text))
            .unwrap_or(raw.profile);
        let preempt_mode = read("PREEMPT_MODE")
            .and_then(|text| parse_mode(&text))
            .or(PreemptMode::from_raw(raw.preempt_mode))
            .unwrap_or(PreemptMode::Auto);
        let period = read("PREEMPT_POLL_PERIOD")
            .and_then(|text| parse_number(&text))
            .map_or(raw.preempt_poll_period, |value| {
                value.min(u64::from(MAX_POLL_PERIOD)) as u32
            })
            .min(MAX_POLL_PERIOD);
        // BALANCED, RELEASE_FAST, DEBUG_SAFE, IO_LATENCY (`abi.md` 5.13, Linux).
        let period = if period == 0 {
            [1, 4, 1, 4][profile as usize & 3]
        } else {
            period
        };
        let preempt_quantum_ns = read("PREEMPT_QUANTUM_NS")
            .and_then(|text| parse_number(&text))
            .map_or(raw.preempt_quantum_ns, |value| value.min(MAX_QUANTUM_NS));
        let (idle_spin_ns, idle_spin_max_iters) = idle_spin(raw, profile, cpus);
        let deterministic = raw.deterministic != 0;
        let workers = read("WORKERS")
            .and_then(|text| parse_number(&text))
            .filter(|&count| count > 0)
            .map_or(raw.workers as usize, |count| count as usize);
        let workers = match (deterministic, workers) {
            (true, _) => 1,
            (false, 0) => cpus,
            (false, count) => count,
        };
        Self {
            workers: workers.clamp(1, MAX_WORKERS),
            deterministic,
            seed: read("SEED")
                .and_then(|text| parse_number(&text))
                .unwrap_or(0),
            forced_yield_every: raw.forced_yield_every,
            idle_spin_ns,
            idle_spin_max_iters,
            preempt_mode,
            preempt_poll_period: match preempt_mode {
                PreemptMode::Off => 0,
                PreemptMode::Strict => 1,
                PreemptMode::Cooperative | PreemptMode::Auto => period,
            },
            preempt_quantum_ns,
            backend: match read("IO_BACKEND").as_deref() {
                Some("uring" | "io_uring") => BackendChoice::Uring,
                Some("epoll" | "readiness") => BackendChoice::Readiness,
                _ => BackendChoice::Best,
            },
        }
    }

    /// How long a task of this class may run before a safepoint yields for it.
    #[inline]
    pub(crate) fn budget_ns(&self, class: u8) -> u64 {
        if self.preempt_quantum_ns != 0 {
            return self.preempt_quantum_ns;
        }
        match class {
            0 => 50_000,
            1 => 200_000,
            _ => 1_000_000,
        }
    }
}

/// Polling before sleep pays only where a core can be spared: off by default on two CPUs or
/// fewer, 50 µs in the latency profile, 10 µs else. Explicit options win.
fn idle_spin(raw: &RawOptions, profile: u32, cpus: usize) -> (u64, u32) {
    const IO_LATENCY: u32 = 3;
    if raw.idle_spin_ns != 0 {
        let iterations = match raw.idle_spin_max_iters {
            0 => u32::MAX,
            limit => limit,
        };
        return (raw.idle_spin_ns, iterations);
    }
    match (profile, cpus) {
        (IO_LATENCY, 2..) => (50_000, u32::MAX),
        (_, 4..) => (10_000, u32::MAX),
        _ => (0, 0),
    }
}

fn parse_profile(text: &str) -> Option<u32> {
    Some(match text {
        "balanced" | "default" => 0,
        "release-fast" | "fast" | "release" => 1,
        "debug-safe" | "debug" | "safe" => 2,
        "io-latency" | "latency-io" | "poll" => 3,
        _ => return None,
    })
}

fn parse_mode(text: &str) -> Option<PreemptMode> {
    if ["off", "0", "false", "no"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return Some(PreemptMode::Off);
    }
    Some(match text {
        "disabled" => PreemptMode::Off,
        "1" | "cooperative" | "coop" => PreemptMode::Cooperative,
        "2" | "auto" | "pressure" => PreemptMode::Auto,
        "3" | "strict" | "debug" => PreemptMode::Strict,
        _ => return None,
    })
}

/// Decimal digits only; anything else counts as unset.
fn parse_number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// CPUs the process may run on.
pub(crate) fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(raw: &RawOptions, environment: &[(&str, &str)]) -> Options {
        Options::settle(raw, 8, |name| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn defaults_follow_profile_and_mode() {
        let options = settle(&RawOptions::default(), &[]);
        assert_eq!((options.workers, options.preempt_poll_period), (8, 1));
        let fast = RawOptions {
            profile: 1,
            ..RawOptions::default()
        };
        assert_eq!(settle(&fast, &[]).preempt_poll_period, 4);
        let off = RawOptions {
            preempt_mode: 0,
            preempt_poll_period: 7,
            ..RawOptions::default()
        };
        assert_eq!(settle(&off, &[]).preempt_poll_period, 0);
        let one = RawOptions {
            deterministic: 1,
            workers: 4,
            ..RawOptions::default()
        };
        assert_eq!(settle(&one, &[]).workers, 1);
    }

    #[test]
    fn environment_overrides_and_nonsense_is_unset() {
        let raw = RawOptions {
            preempt_poll_period: 5000,
            ..RawOptions::default()
        };
        assert_eq!(settle(&raw, &[]).preempt_poll_period, 4096);
        let both = [("NM_PREEMPT_MODE", "strict"), ("LLAM_PREEMPT_MODE", "OFF")];
        assert_eq!(settle(&raw, &both).preempt_mode, PreemptMode::Off);
        for nonsense in ["", "-1", " 3", "3x", "99999999999999999999"] {
            let options = settle(&raw, &[("LLAM_PREEMPT_QUANTUM_NS", nonsense)]);
            assert_eq!(options.preempt_quantum_ns, 0, "{nonsense:?}");
        }
        let options = settle(&raw, &[("LLAM_PREEMPT_QUANTUM_NS", "2000000000")]);
        assert_eq!(options.preempt_quantum_ns, 1_000_000_000);
        assert!(validate(&RawOptions { profile: 4, ..raw }).is_err());
        assert!(
            validate(&RawOptions {
                preempt_mode: 4,
                ..raw
            })
            .is_err()
        );
    }
}
