//! Owns the pseudo-random generator of the stress test (SplitMix64): small, and the same on every
//! platform, so that a seed means the same everywhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent generator, for another task.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True one time in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// 0 to `limit_us` microseconds.
    pub(crate) fn micros(&mut self, limit_us: u64) -> Duration {
        Duration::from_micros(self.between(0, limit_us))
    }

    /// Port 0 of a loopback address. On Linux all of 127.0.0.0/8 is loopback, and each address has
    /// ports of its own: closed connections, which keep theirs for a minute, never use them up.
    pub(crate) fn loopback(&mut self) -> SocketAddr {
        let ip = if cfg!(target_os = "linux") {
            let [a, b, c, ..] = self.next().to_le_bytes();
            Ipv4Addr::new(127, a, b, c.clamp(1, 254))
        } else {
            Ipv4Addr::LOCALHOST
        };
        SocketAddr::from((ip, 0))
    }
}
