//! What is known of a descriptor number, by whom, and for how long it may be trusted.
//!
//! A number may be closed and come back as another object at any time, so nothing here is
//! ever believed where a wrong belief could lose a wake or touch the wrong object, with one
//! exception: numbers that their owner has *adopted*. An adopted number is closed through
//! the engine only (`io::close`), which changes its stamp; a registration made under the
//! stamp is then known to be gone. The binding adopts the descriptors that it owns.

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use std::os::fd::RawFd;

const CHUNK: usize = 4096;
const CHUNKS: usize = 1024;

/// Stamps by number. Bit 0: adopted. The rest counts changes.
static STAMPS: [AtomicPtr<[AtomicU32; CHUNK]>; CHUNKS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];

const ADOPTED: u32 = 1;

fn stamp(fd: RawFd) -> Option<&'static AtomicU32> {
    let number = usize::try_from(fd).ok()?;
    // SAFETY: chunks are leaked boxes, never freed.
    let chunk = unsafe { STAMPS.get(number / CHUNK)?.load(Ordering::Acquire).as_ref() }?;
    Some(&chunk[number % CHUNK])
}

fn stamp_or_make(fd: RawFd) -> Option<&'static AtomicU32> {
    let number = usize::try_from(fd).ok()?;
    let place = STAMPS.get(number / CHUNK)?;
    if place.load(Ordering::Acquire).is_null() {
        let chunk = Box::into_raw(Box::new([const { AtomicU32::new(0) }; CHUNK]));
        let raced = place
            .compare_exchange(
                std::ptr::null_mut(),
                chunk,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_err();
        if raced {
            // SAFETY: made above and published nowhere.
            drop(unsafe { Box::from_raw(chunk) });
        }
    }
    stamp(fd)
}

/// The owner promises to close the number through the engine only.
pub(crate) fn adopt(fd: RawFd) {
    if let Some(stamp) = stamp_or_make(fd) {
        let now = stamp.load(Ordering::Relaxed);
        stamp.store((now | ADOPTED).wrapping_add(2), Ordering::Release);
    }
}

/// The number is about to be closed, or given to somebody else.
pub(crate) fn release(fd: RawFd) {
    if let Some(stamp) = stamp(fd) {
        let now = stamp.load(Ordering::Relaxed);
        stamp.store((now & !ADOPTED).wrapping_add(2), Ordering::Release);
    }
}

/// The stamp of an adopted number.
pub(crate) fn adopted_stamp(fd: RawFd) -> Option<u32> {
    let now = stamp(fd)?.load(Ordering::Acquire);
    (now & ADOPTED != 0).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_ends_what_was_known() {
        let fd = 1_000_000;
        assert_eq!(adopted_stamp(fd), None);
        adopt(fd);
        let first = adopted_stamp(fd).expect("adopted");
        assert_eq!(adopted_stamp(fd), Some(first));
        release(fd);
        assert_eq!(adopted_stamp(fd), None);
        adopt(fd);
        assert_ne!(adopted_stamp(fd), Some(first));
        adopt(-1);
        assert_eq!(adopted_stamp(-1), None);
        assert_eq!(adopted_stamp(i32::MAX), None);
    }
}
