//! OS threads without a runtime. Used by the programs of this crate.
#![forbid(unsafe_code)]

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;

/// Lets this thread, and those that it makes from now on, use the last `count` of the CPUs that it may use.
/// Threads have no workers: the number of CPUs is what stands for it.
pub fn use_cpus(count: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut chosen = CpuSet::new();
    let cpus = (0..CpuSet::MAX_CPU)
        .rev()
        .filter(|cpu| allowed.is_set(*cpu));
    cpus.take(count).for_each(|cpu| chosen.set(cpu));
    sched_setaffinity(None, &chosen)?;
    Ok(())
}
