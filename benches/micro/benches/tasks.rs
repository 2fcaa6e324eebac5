//! The workloads of this crate in nanoseconds per operation: one worker, the real clock.
//!
//! Each sample is a run in a runtime of its own, which the workload times without its start and end.
//! `cargo test` does each once.

#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use llam_micro::{Clock, WORKLOADS, Workload};

/// Its time by the real clock is that of the sleep.
const NOT_TIMED: &str = "sleep-1000";

fn time(workload: Workload, iterations: u64) -> Duration {
    let done = iterations.next_multiple_of(workload.granularity);
    let elapsed = llam_micro::run(workload, done, Clock::Real).expect("the workload succeeds");
    elapsed.mul_f64(iterations as f64 / done as f64)
}

fn workloads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tasks");
    for workload in WORKLOADS {
        if workload.name != NOT_TIMED {
            group.bench_function(workload.name, |bencher| {
                bencher.iter_custom(|iterations| time(*workload, iterations));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = tasks;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = workloads
}
criterion_main!(tasks);
