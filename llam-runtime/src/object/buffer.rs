//! Owned buffers (`abi.md` 4.16, 5.12): one allocation each, owned by nobody.

use core::ffi::c_void;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr;

use crate::errno::Result;
use crate::handle::{self, Kind, Object};
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::SpinLock;

/// Alignment when none was asked for.
pub(crate) const DEFAULT_ALIGNMENT: usize = 8;
/// Smallest capacity.
const MIN_CAPACITY: usize = 64;

#[repr(C)]
pub(crate) struct Buffer {
    head: SlotHead,
    state: SpinLock<State>,
}

pub(crate) struct State {
    data: *mut u8,
    size: usize,
    capacity: usize,
    alignment: usize,
}

// SAFETY: the memory belongs to the buffer.
unsafe impl Send for State {}
// SAFETY: zero is an unlocked lock, null, 0.
unsafe impl Slot for Buffer {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static BUFFERS: Slab<Buffer> = Slab::new();

impl Object for Buffer {
    const KIND: Kind = Kind::Buffer;
    fn slab() -> &'static Slab<Self> {
        &BUFFERS
    }
}

/// Memory that will become a buffer's: used by reads before anything is given out.
pub(crate) struct Memory {
    data: *mut u8,
    layout: Layout,
    asked_alignment: usize,
}

impl Memory {
    /// `EINVAL` for an alignment that is neither 0 nor a power of two of at least a word.
    pub(crate) fn allocate(capacity: usize, alignment: usize, zero: bool) -> Result<Self> {
        check_alignment(alignment)?;
        let asked_alignment = if alignment == 0 {
            DEFAULT_ALIGNMENT
        } else {
            alignment
        };
        let layout = Layout::from_size_align(capacity.max(MIN_CAPACITY), asked_alignment)
            .map_err(|_| libc::ENOMEM)?;
        // SAFETY: the layout is not zero-sized.
        let data = unsafe {
            if zero {
                alloc_zeroed(layout)
            } else {
                alloc(layout)
            }
        };
        if data.is_null() {
            return Err(libc::ENOMEM);
        }
        Ok(Self {
            data,
            layout,
            asked_alignment,
        })
    }

    pub(crate) fn data(&self) -> *mut u8 {
        self.data
    }

    /// Makes a buffer of it that holds `size` bytes.
    pub(crate) fn into_buffer(self, size: usize) -> Result<*mut c_void> {
        let buffer = BUFFERS.allocate().ok_or(libc::ENOMEM)?;
        let memory = std::mem::ManuallyDrop::new(self);
        *buffer.state.lock() = State {
            data: memory.data,
            size,
            capacity: memory.layout.size(),
            alignment: memory.asked_alignment,
        };
        Ok(handle::of(buffer))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout and not given out.
        unsafe { dealloc(self.data, self.layout) };
    }
}

/// `EINVAL` for an alignment that no buffer can have.
pub(crate) fn check_alignment(alignment: usize) -> Result<()> {
    let good = alignment == 0 || (alignment.is_power_of_two() && alignment >= size_of::<usize>());
    if good { Ok(()) } else { Err(libc::EINVAL) }
}

fn read<T>(buffer: *const c_void, field: impl FnOnce(&State) -> T) -> Result<T> {
    let checked = handle::check::<Buffer>(buffer).ok_or(libc::EINVAL)?;
    let state = checked.slot.state.lock();
    if checked.is_current() {
        Ok(field(&state))
    } else {
        Err(libc::EINVAL)
    }
}

pub(crate) fn data(buffer: *const c_void) -> Result<*mut u8> {
    read(buffer, |state| state.data)
}

pub(crate) fn size(buffer: *const c_void) -> Result<usize> {
    read(buffer, |state| state.size)
}

pub(crate) fn capacity(buffer: *const c_void) -> Result<usize> {
    read(buffer, |state| state.capacity)
}

pub(crate) fn alignment(buffer: *const c_void) -> Result<usize> {
    read(buffer, |state| state.alignment)
}

pub(crate) fn release(buffer: *mut c_void) {
    let Some(checked) = handle::check::<Buffer>(buffer) else {
        return;
    };
    let mut state = checked.slot.state.lock();
    if !checked.is_current() {
        return;
    }
    Slab::kill(checked.slot);
    let data = std::mem::replace(&mut state.data, ptr::null_mut());
    if let Ok(layout) = Layout::from_size_align(state.capacity, state.alignment) {
        // SAFETY: allocated by `Memory` with this layout; the handle is dead.
        unsafe { dealloc(data, layout) };
    }
    drop(state);
    BUFFERS.give_back([checked.slot]);
}
