//! The atomics that the lock-free parts are written against.
//!
//! `wait`, `inbox`, `fresh` and `sleep` take every atomic from here. The model-checking
//! crate (`tests/models`) includes the same files beside a `sync` module that names
//! loom's types instead, so that loom explores the real code.

pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
