//! Single parts of the engine in nanoseconds, without a runtime.
//!
//! The engine's own files are included by path, as `tests/models` does it, so what is timed is what
//! runs. `stack` is a stand-in: the engine's stacks need its workers. A worker's run queue is not here:
//! it is a field of the worker, and the workloads `yield-2` and `yield-1000` are about nothing else.
//!
//! | file | times |
//! |---|---|
//! | `switch.rs` | entering a fiber and leaving it |
//! | `queues.rs` | fresh ring, inbox |
//! | `waits.rs` | wait word, timer wheel |
//! | `objects.rs` | slab, handles |
//! | `codec.rs` | the line splitter of the chat example |
//!
//! Each bench looks at what it got, outside the timed loop where it can. `cargo test` does each once.
//! The lint for unsafe code is that of the engine: its parts have unsafe contracts.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the included files serve more than the benches use, and their unit tests do not run here"
)]

#[path = "../../../../llam-runtime/src/errno.rs"]
mod errno;
#[path = "../../../../llam-runtime/src/fiber/mod.rs"]
mod fiber;
#[path = "../../../../llam-runtime/src/fresh.rs"]
mod fresh;
#[path = "../../../../llam-runtime/src/handle.rs"]
mod handle;
#[path = "../../../../llam-runtime/src/inbox.rs"]
mod inbox;
#[path = "../../../../examples/chat/src/lines.rs"]
mod lines;
#[path = "../../../../llam-runtime/src/slab.rs"]
mod slab;
#[path = "../../../../llam-runtime/src/spin.rs"]
mod spin;
#[path = "../../../../llam-runtime/src/sync.rs"]
mod sync;
#[path = "../../../../llam-runtime/src/wait.rs"]
mod wait;
#[path = "../../../../llam-runtime/src/wheel.rs"]
mod wheel;

mod codec;
mod objects;
mod queues;
mod stack;
mod switch;
mod waits;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = engine;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = switch::benches, queues::benches, waits::benches, objects::benches, codec::benches
}
criterion_main!(engine);
