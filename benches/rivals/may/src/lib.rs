//! may, tuned as its benchmark entries tune it. Used by the programs of this crate.

/// Words of a coroutine's stack: 32 KiB, may's default and what its benchmark entries ask for.
const STACK_WORDS: usize = 0x1000;

/// Stacks that are kept for the next coroutines, made at the start. may's default is 1000.
pub const POOL_CAPACITY: usize = 1000;

/// Must be called before the first coroutine.
pub fn configure(workers: usize, pool_capacity: usize) {
    may::config()
        .set_workers(workers)
        .set_pool_capacity(pool_capacity)
        .set_stack_size(STACK_WORDS);
    // may pins worker 0 to CPU 0, and so on. Whoever measures chooses the CPUs.
    may::config().set_worker_pin(false);
}
