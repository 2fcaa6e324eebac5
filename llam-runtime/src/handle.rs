//! Handles: what the ABI gives out instead of pointers (R1, invariant E4).
//!
//! ```text
//!   63    60 59                        26 25              0
//!   | kind  |  generation (34 bits)      |  slot index     |
//! ```
//!
//! A handle is never dereferenced. The kind makes a mutex useless where a channel is wanted,
//! the index finds the slot in its slab, the generation tells whether the object that the
//! handle was made for still lives there.

use core::ffi::c_void;

use crate::errno::Result;
use crate::slab::{Slab, Slot};
use crate::spin::{SpinGuard, SpinLock};

const INDEX_BITS: u32 = 26;
const GENERATION_BITS: u32 = 34;
const KIND_SHIFT: u32 = 60;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// The families of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Task = 1,
    Mutex,
    Cond,
    Channel,
    Token,
    Buffer,
    Runtime,
    Group,
    Timer,
    SignalSet,
}

/// A slot type with its slab and its kind.
pub(crate) trait Object: Slot + Sized {
    const KIND: Kind;
    fn slab() -> &'static Slab<Self>;
}

/// An object whose state stands behind one lock.
pub(crate) trait Guarded: Object {
    type State: 'static;
    fn state(&self) -> &SpinLock<Self::State>;
}

/// The handle of a live object.
#[inline]
pub(crate) fn of<T: Object>(object: &T) -> *mut c_void {
    encode(T::KIND, object.head().generation(), object.head().index())
}

#[inline]
fn encode(kind: Kind, generation: u64, index: u32) -> *mut c_void {
    let bits = ((kind as u64) << KIND_SHIFT)
        | ((generation & GENERATION_MASK) << INDEX_BITS)
        | u64::from(index);
    bits as usize as *mut c_void
}

/// A handle taken apart: the slot it names and the generation it was made for. The object
/// was live a moment ago; who needs more checks again under the object's lock.
pub(crate) struct Checked<T: 'static> {
    pub(crate) slot: &'static T,
    pub(crate) generation: u64,
}

impl<T: Slot> Checked<T> {
    /// Whether the object is still the one the handle was made for.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.slot.head().generation() & GENERATION_MASK == self.generation
    }
}

impl<T: Guarded> Checked<T> {
    /// Locks the object's state and checks once more: `EINVAL` when it was destroyed since
    /// the handle was checked. While the lock is held it stays.
    #[inline]
    pub(crate) fn lock(&self) -> Result<SpinGuard<'static, T::State>> {
        let state = self.slot.state().lock();
        if self.is_current() {
            Ok(state)
        } else {
            Err(libc::EINVAL)
        }
    }
}

/// Checks a handle. `None` for NULL, forged, stale and wrong-kind values.
#[inline]
pub(crate) fn check<T: Object>(handle: *const c_void) -> Option<Checked<T>> {
    let bits = handle as usize as u64;
    if bits >> KIND_SHIFT != T::KIND as u64 {
        return None;
    }
    let generation = (bits >> INDEX_BITS) & GENERATION_MASK;
    let slot = T::slab().slot(bits as u32 & ((1 << INDEX_BITS) - 1))?;
    let checked = Checked { slot, generation };
    (generation & 1 == 1 && checked.is_current()).then_some(checked)
}

/// As [`check`], when the slot alone is wanted.
#[inline]
pub(crate) fn find<T: Object>(handle: *const c_void) -> Option<&'static T> {
    check::<T>(handle).map(|checked| checked.slot)
}
