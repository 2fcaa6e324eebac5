//! Slots and handles: what every call on an object begins with.

use std::hint::black_box;

use criterion::Criterion;

use crate::handle::{self, Kind, Object};
use crate::slab::{Slab, Slot, SlotHead};

#[repr(C)]
struct Thing {
    head: SlotHead,
    value: u64,
}

// SAFETY: numbers may be zero, and the head is a field.
unsafe impl Slot for Thing {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static THINGS: Slab<Thing> = Slab::new();

impl Object for Thing {
    const KIND: Kind = Kind::Timer;
    fn slab() -> &'static Slab<Self> {
        &THINGS
    }
}

pub(crate) fn benches(criterion: &mut Criterion) {
    criterion.bench_function("engine/slab-allocate-free", |bencher| {
        let first = THINGS.allocate().expect("there is memory");
        let stale = handle::of(first);
        THINGS.free(first);
        bencher.iter(|| {
            let thing = black_box(&THINGS).allocate().expect("there is memory");
            THINGS.free(thing);
        });
        let again = THINGS.allocate().expect("there is memory");
        assert!(
            std::ptr::eq(first, again),
            "one slot is used again and again"
        );
        assert!(
            handle::check::<Thing>(stale).is_none(),
            "its handle is stale"
        );
        THINGS.free(again);
    });
    criterion.bench_function("engine/handle-check", |bencher| {
        let thing = THINGS.allocate().expect("there is memory");
        let handle = handle::of(thing);
        let mut refused = 0_u64;
        bencher.iter(|| refused += u64::from(handle::check::<Thing>(black_box(handle)).is_none()));
        assert_eq!(refused, 0, "the object is live");
        let found = handle::find::<Thing>(handle).expect("the object is live");
        assert!(std::ptr::eq(found, thing) && found.value == 0);
        THINGS.free(thing);
        assert!(
            handle::check::<Thing>(handle).is_none(),
            "and now it is not"
        );
    });
}
