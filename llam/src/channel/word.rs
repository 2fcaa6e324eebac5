//! How a value crosses the C channel, which carries one `void *` each.
//!
//! Owns the encoding. Values of at most a word travel as the pointer itself; larger ones are boxed
//! once. Invariant: each word made by [`encode`] is given to [`decode`] exactly once, with the same
//! type.
//!
//! ```text
//!   size and alignment <= a word      the bytes of the value, rest zero
//!   else                              Box::into_raw
//! ```
//!
//! The bytes of a small value may be partly uninitialised (padding, `None` of an `Option`), and an
//! uninitialised pointer must not be passed to a function. So the word goes through an empty `asm!`
//! block, which the compiler has to take for a machine register with some definite contents. On
//! processors without stable inline assembly, and under Miri, everything is boxed.

use std::ffi::c_void;
#[cfg(all(
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    ),
    not(miri)
))]
use std::mem::MaybeUninit;
use std::ptr;

/// Whether values of this type travel without an allocation.
pub(super) const fn is_inline<T>() -> bool {
    cfg!(all(
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        ),
        not(miri)
    )) && size_of::<T>() <= size_of::<*mut c_void>()
        && align_of::<T>() <= align_of::<*mut c_void>()
}

/// Gives a definite value to every byte of the word.
#[cfg(all(
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    ),
    not(miri)
))]
#[inline]
fn settle(word: MaybeUninit<*mut c_void>) -> *mut c_void {
    let settled: *mut c_void;
    // SAFETY: the block is empty: a register goes in and comes out, memory and flags are untouched.
    unsafe {
        std::arch::asm!(
            "/* {0} */",
            inlateout(reg) word => settled,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    settled
}

/// Turns a value into a word. The word owns the value.
#[inline]
pub(super) fn encode<T>(value: T) -> *mut c_void {
    #[cfg(all(
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        ),
        not(miri)
    ))]
    if is_inline::<T>() {
        let mut word = MaybeUninit::<*mut c_void>::zeroed();
        // SAFETY: `is_inline` says that size and alignment fit into the word.
        unsafe { word.as_mut_ptr().cast::<T>().write(value) };
        return settle(word);
    }
    Box::into_raw(Box::new(value)).cast()
}

/// Turns a word back into its value.
///
/// # Safety
///
/// The word was made by [`encode`] for the same `T`, and this is the only call for it.
#[inline]
pub(super) unsafe fn decode<T>(word: *mut c_void) -> T {
    if is_inline::<T>() {
        // SAFETY: `encode` wrote a `T` at the start of the word; the caller takes it once.
        unsafe { ptr::read((&raw const word).cast::<T>()) }
    } else {
        // SAFETY: `encode` made this box; the caller takes it once.
        *unsafe { Box::from_raw(word.cast::<T>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn round_trip<T: PartialEq + std::fmt::Debug + Clone>(value: T) {
        let word = encode(value.clone());
        // SAFETY: made on the line above.
        assert_eq!(unsafe { decode::<T>(word) }, value);
    }

    #[test]
    fn every_shape_survives() {
        round_trip(());
        round_trip(7_u8);
        round_trip((3_u8, 9_u32));
        round_trip(Some(5_u32));
        round_trip(None::<u32>);
        round_trip(None::<&'static u8>);
        round_trip(u64::MAX);
        round_trip(f64::MIN_POSITIVE);
        round_trip('x');
        round_trip(Rc::new(4));
        round_trip(Box::new(11_u64));
        round_trip("text".to_owned());
        round_trip([1_u64, 2, 3]);
        round_trip(u128::MAX);
    }

    #[test]
    fn small_values_are_not_boxed() {
        if cfg!(miri) {
            return;
        }
        assert!(is_inline::<u64>() && is_inline::<Rc<str>>() == (size_of::<Rc<str>>() <= 8));
        assert!(!is_inline::<u128>());
        assert_eq!(encode(0_u64), ptr::null_mut());
        assert_eq!(encode(1_usize).addr(), 1);
    }
}
