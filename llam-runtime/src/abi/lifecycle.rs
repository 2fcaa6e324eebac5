//! Making, running, stopping and ending runtimes (`abi.md` 4.2).

use core::ffi::{c_int, c_void};

use super::convert::{failed, status};
use super::options::{RuntimeOpts, read_runtime};
use crate::errno::{self, Result};
use crate::ext;
use crate::runtime::registry;
use crate::worker;

/// `llam_runtime_init_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_init_ex(opts: *const RuntimeOpts, opts_size: usize) -> c_int {
    // SAFETY: by the contract of the header.
    let raw = unsafe { read_runtime(opts, opts_size) };
    status(raw.and_then(|raw| registry::DEFAULT.init(&raw)))
}

/// `llam_runtime_init`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_init(opts: *const RuntimeOpts) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_runtime_init_ex(opts, size_of::<RuntimeOpts>()) }
}

/// `llam_runtime_default`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_default() -> *mut c_void {
    registry::default_handle()
}

/// `llam_runtime_create`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_create(
    opts: *const RuntimeOpts,
    opts_size: usize,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { ext::runtime_create(opts.cast(), opts_size, 0, out) }
}

fn run(named: Option<registry::Named>) -> Result<()> {
    let named = named.ok_or(libc::EINVAL)?;
    if worker::context().is_some() {
        return Err(libc::EINVAL);
    }
    named.runtime.run(named.owner)
}

/// `llam_runtime_run_handle`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_run_handle(runtime: *mut c_void) -> c_int {
    status(run(registry::find(runtime)))
}

/// `llam_run`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_run() -> c_int {
    status(run(registry::find(registry::default_handle())))
}

/// `llam_runtime_request_stop`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_request_stop() -> c_int {
    let runtime = registry::implied();
    if worker::context().is_some() {
        runtime.request_stop();
        return 0;
    }
    match runtime.lock_live() {
        Some(_live) => {
            runtime.request_stop();
            0
        }
        None => failed(libc::EINVAL),
    }
}

/// `llam_runtime_shutdown`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_shutdown() {
    errno::preserve(|| match worker::context() {
        Some((worker, _)) => worker.runtime().request_stop(),
        None => {
            registry::DEFAULT.shut_down(registry::DEFAULT.owner());
        }
    });
}

/// `llam_runtime_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_destroy(runtime: *mut c_void) {
    if runtime.is_null() || runtime == registry::default_handle() {
        llam_runtime_shutdown();
        return;
    }
    errno::preserve(|| match worker::context() {
        None => registry::destroy(runtime),
        Some((worker, _)) => {
            let own = registry::find(runtime)
                .is_some_and(|named| named.owner == worker.runtime().owner());
            if own {
                worker.runtime().request_stop();
            }
        }
    });
}
