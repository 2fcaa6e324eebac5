//! The queues between tasks and workers.

use std::hint::black_box;
use std::sync::atomic::AtomicPtr;

use criterion::Criterion;

use crate::fresh::FreshRing;
use crate::inbox::{Inbox, Linked};

/// The size of the engine's rings does not matter to one push and pop; half of this is what a thief
/// takes at once.
const RING: usize = 256;
const BATCH: usize = 128;

struct Node {
    link: AtomicPtr<Node>,
    value: u64,
}

// SAFETY: the link is used by the inbox alone, and each node outlives the inbox it is in.
unsafe impl Linked for Node {
    fn link(&self) -> &AtomicPtr<Node> {
        &self.link
    }
}

fn node(value: u64) -> Node {
    Node {
        link: AtomicPtr::new(std::ptr::null_mut()),
        value,
    }
}

pub(crate) fn benches(criterion: &mut Criterion) {
    criterion.bench_function("engine/fresh-push-pop", |bencher| {
        let ring = FreshRing::<RING>::new();
        ring.push(7).expect("there is room");
        let mut wrong = 0;
        bencher.iter(|| {
            let pushed = ring.push(black_box(7));
            wrong += u64::from(pushed.is_err() || ring.pop() != Some(7));
        });
        assert_eq!((wrong, ring.len()), (0, 1), "what goes in comes out");
    });
    criterion.bench_function("engine/fresh-steal-128", |bencher| {
        let ring = FreshRing::<RING>::new();
        let mut batch = [0; BATCH];
        bencher.iter(|| {
            for value in 0..RING as u64 {
                ring.push(value).expect("there is room");
            }
            let taken = ring.steal(&mut batch) + ring.steal(&mut batch[..BATCH / 2]);
            let rest = std::iter::from_fn(|| ring.pop()).count();
            assert_eq!((taken, rest), (BATCH + BATCH / 2, BATCH / 2));
        });
        assert_eq!(batch[0], BATCH as u64, "the oldest go first");
    });
    criterion.bench_function("engine/inbox-push-take", |bencher| {
        let node = node(7);
        let inbox = Inbox::<Node>::new();
        let mut sum = 0;
        let mut pushed = 0;
        bencher.iter(|| {
            pushed += 1;
            // SAFETY: the node outlives the inbox, and was taken out again before.
            unsafe { inbox.push(black_box(&raw const node)) };
            for taken in inbox.take_all() {
                // SAFETY: as above.
                sum += unsafe { (*taken).value };
            }
        });
        assert_eq!(sum, 7 * pushed, "what goes in comes out");
    });
    criterion.bench_function("engine/inbox-push-take-128", |bencher| {
        let nodes: Vec<Node> = (0..BATCH as u64).map(node).collect();
        let inbox = Inbox::<Node>::new();
        bencher.iter(|| {
            for node in &nodes {
                // SAFETY: the nodes outlive the inbox, and were taken out again before.
                unsafe { inbox.push(node) };
            }
            let mut expected = 0;
            for taken in inbox.take_all() {
                // SAFETY: as above.
                assert_eq!(unsafe { (*taken).value }, expected, "the oldest go first");
                expected += 1;
            }
            assert_eq!(expected, BATCH as u64, "all come out");
        });
    });
}
