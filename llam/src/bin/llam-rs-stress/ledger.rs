//! Owns the accounts of values: how many exist, and of whom they are.
//!
//! Invariant: a [`Ledger`] counts every [`Parcel`] made in its name and every one dropped, so
//! after a round `made == dropped` means that none leaked and none was dropped twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    made: AtomicU64,
    dropped: AtomicU64,
}

/// A value that travels. Larger than a word, so that it is boxed on the way; `Box<Parcel>` is one
/// word and is not.
#[derive(Debug)]
pub(crate) struct Parcel {
    ledger: Arc<Ledger>,
    pub(crate) sender: u64,
    pub(crate) number: u64,
}

impl Ledger {
    pub(crate) fn parcel(self: &Arc<Self>, sender: u64, number: u64) -> Parcel {
        self.made.fetch_add(1, Ordering::Relaxed);
        Parcel {
            ledger: self.clone(),
            sender,
            number,
        }
    }

    /// (made, dropped)
    pub(crate) fn totals(&self) -> (u64, u64) {
        (
            self.made.load(Ordering::Relaxed),
            self.dropped.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.ledger.dropped.fetch_add(1, Ordering::Relaxed);
    }
}
