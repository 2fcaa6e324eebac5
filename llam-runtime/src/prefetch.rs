//! Hints to the processor about memory that will be used soon. They read nothing: any address is good.

/// Starts to fetch the cache line that holds `address`.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(crate) fn read<T>(address: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which faults on no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[inline(always)]
#[cfg(target_arch = "aarch64")]
pub(crate) fn read<T>(address: *const T) {
    // SAFETY: a hint, which faults on no address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address,
            options(nostack, readonly, preserves_flags));
    }
}

#[inline(always)]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn read<T>(_address: *const T) {}
