//! Work that blocks its OS thread.
//!
//! Owns [`call`], which moves a closure to a pool thread, and [`BlockingRegion`], which moves nothing.
//! Contract: `abi.md` 4.7 and 5.11.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::error::{Result, check};
use crate::sys;
use crate::time;

/// Closure and result of one call, on the caller's stack.
struct Call<F, T> {
    f: Option<F>,
    outcome: Option<thread::Result<T>>,
}

/// # Safety
///
/// `argument` is a `Call<F, T>` that nobody else touches until this returns.
unsafe extern "C" fn run<F, T>(argument: *mut c_void) -> *mut c_void
where
    F: FnOnce() -> T,
{
    // SAFETY: by this function's contract.
    let call = unsafe { &mut *argument.cast::<Call<F, T>>() };
    if let Some(f) = call.f.take() {
        call.outcome = Some(catch_unwind(AssertUnwindSafe(f)));
    }
    std::ptr::null_mut()
}

/// Runs `f` on a pool thread while the task parks; on a host thread, right here.
///
/// `f` may borrow from the caller, who does not go on before it has ended. The pool has few threads and
/// further calls queue, so `f` must not wait for another blocking call. Inside it the caller's task
/// does not exist: no locks, no channel waits, no task-local values.
///
/// The inner result is that of a thread: `Err` when `f` panicked.
///
/// # Errors
///
/// `ECANCELED` when the task is cancelled or its runtime stopping: before `f` has begun, it is dropped
/// without running; once it runs, this returns after it has ended, and the result is dropped.
/// `ETIMEDOUT` when a [`timeout`](fn@crate::time::timeout) around it is over already, without running `f`;
/// one that ends meanwhile does not cut the call short. `ENOMEM`.
///
/// ```
/// llam::run(|| {
///     let text = String::from("borrowed");
///     let length = llam::blocking::call(|| text.len())?.unwrap();
///     assert_eq!(length, 8);
///     Ok(())
/// }).unwrap();
/// ```
pub fn call<F, T>(f: F) -> Result<thread::Result<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    time::check_scope()?;
    let mut call = Call {
        f: Some(f),
        outcome: None,
    };
    let mut out = std::ptr::null_mut();
    // SAFETY: `call` lives until the engine returns, which it does only when the callback has
    // returned or will never be called (`abi.md` 4.7); nobody touches it meanwhile. `F` and `T` are
    // `Send`, so another thread may run one and make the other.
    let status = unsafe {
        sys::llam_call_blocking_result(
            Some(run::<F, T>),
            (&raw mut call).cast::<c_void>(),
            &raw mut out,
        )
    };
    check(status)?;
    Ok(call
        .outcome
        .expect("the engine says that the callback has run"))
}

/// Declares that the task is about to block its OS thread itself, until it is dropped.
///
/// The task stays on its thread, and so do the other tasks that have started there: they wait. Fresh
/// tasks run elsewhere. Prefer [`call`]. Regions nest. On a host thread it does nothing.
pub struct BlockingRegion {
    /// Whoever enters leaves.
    _not_send: PhantomData<*mut ()>,
}

impl BlockingRegion {
    /// Enters a region.
    ///
    /// # Errors
    ///
    /// `ENOMEM` and the like when the engine cannot make up for the thread.
    pub fn enter() -> Result<Self> {
        // SAFETY: takes nothing; allowed on any thread.
        check(unsafe { sys::llam_enter_blocking() })?;
        Ok(Self {
            _not_send: PhantomData,
        })
    }
}

impl Drop for BlockingRegion {
    fn drop(&mut self) {
        // SAFETY: takes nothing; the engine checks that a region is open.
        unsafe { sys::llam_leave_blocking() };
    }
}

impl fmt::Debug for BlockingRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingRegion").finish_non_exhaustive()
    }
}
