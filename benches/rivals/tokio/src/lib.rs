//! tokio, as its users run it: the current-thread runtime for one worker, the multi-thread runtime
//! for more or when `--multi` asks for it. Used by the programs of this crate.
#![forbid(unsafe_code)]

use tokio::runtime::{Builder, Runtime};

/// The runtime for so many workers.
pub fn runtime(workers: usize, is_multi: bool) -> Runtime {
    let mut builder = if workers == 1 && !is_multi {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers);
        builder
    };
    builder
        .enable_all()
        .build()
        .unwrap_or_else(|error| rival_common::fail(error))
}
