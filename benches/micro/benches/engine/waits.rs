//! How waits begin and end: the wait word, and the wheel of timed waits.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;

use crate::wait::{Reason, WaitWord};
use crate::wheel::{TimerNode, Wheel};

/// Timers in a crowded wheel.
const CROWD: u64 = 100_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Deadlines up to 2^33 ns (8.6 s) after `start`, spread over all scales: as many below each power of two
/// as below the next.
fn deadlines(start: u64) -> impl Iterator<Item = u64> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    (0..CROWD).map(move |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let longest = 1_u64 << ((random >> 32) % 34);
        start + 1 + (random & (longest - 1))
    })
}

fn nodes(start: u64) -> Vec<TimerNode> {
    deadlines(start).map(TimerNode::new).collect()
}

pub(crate) fn benches(criterion: &mut Criterion) {
    criterion.bench_function("engine/wait-arm-claim", |bencher| {
        let word = WaitWord::new();
        let mut lost = 0_u64;
        bencher.iter(|| {
            let armed = black_box(&word).arm(true);
            lost += u64::from(!word.claim(armed, Reason::Woken));
        });
        assert_eq!(lost, 0, "the only claim wins");
        let late = word.arm(true);
        assert!(word.claim(late, Reason::Timeout) && !word.claim(late, Reason::Woken));
    });
    criterion.bench_function("engine/wheel-insert-remove", |bencher| {
        let mut wheel = Wheel::new();
        let node = TimerNode::new(SECOND_NS);
        bencher.iter(|| insert_and_remove(&mut wheel, &node));
        assert!(wheel.is_empty());
    });
    criterion.bench_function("engine/wheel-insert-remove-among-100000", |bencher| {
        let mut wheel = Wheel::new();
        let crowd = nodes(0);
        for node in &crowd {
            // SAFETY: the crowd stays where it is until the wheel's last use.
            unsafe { wheel.insert(node) };
        }
        let node = TimerNode::new(SECOND_NS);
        bencher.iter(|| insert_and_remove(&mut wheel, &node));
        let mut fired = 0;
        wheel.expire(u64::MAX / 2, |_| fired += 1);
        assert_eq!(fired, CROWD, "the node is gone, the others are not");
    });
    criterion.bench_function("engine/wheel-insert-expire-100000", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut wheel = Wheel::new();
            (0..rounds)
                .map(|round| insert_and_expire(&mut wheel, round * 20 * SECOND_NS))
                .sum()
        });
    });
}

fn insert_and_remove(wheel: &mut Wheel, node: &TimerNode) {
    // SAFETY: the node stays where it is, and leaves the wheel before it goes.
    unsafe {
        wheel.insert(black_box(node));
        wheel.remove(node);
    }
}

/// The time for all timers of a crowd: inserted at once, then fired in steps of 1 ms.
fn insert_and_expire(wheel: &mut Wheel, start: u64) -> Duration {
    let crowd = nodes(start);
    let mut fired = 0;
    let began = Instant::now();
    for node in &crowd {
        // SAFETY: the crowd stays where it is until all of it has fired, as is checked.
        unsafe { wheel.insert(node) };
    }
    for step in 1..=10_000 {
        wheel.expire(start + step * SECOND_NS / 1000, |_| fired += 1);
    }
    let elapsed = began.elapsed();
    assert_eq!(
        (fired, wheel.is_empty()),
        (CROWD, true),
        "every timer fires"
    );
    elapsed
}
