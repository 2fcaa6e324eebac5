//! Raw bindings to the LLAM C ABI (version 2.1.0, ABI 2.0), and the headers that declare it.
//!
//! `include/llam/{platform,runtime,io}.h` are the contract; the modules here say the same in Rust,
//! under the same names. Nothing is safe: handles are plain pointers and every call is `unsafe`. The
//! crate `llam` is the safe layer on top.
//!
//! - `bindings`: the 130 functions, the handle types, structs and constants, generated from the
//!   headers by bindgen and checked in.
//! - `types`: descriptors and their invalid values, which differ by platform.
//! - `inline`: what the headers have as inline functions and macros.
//! - [`ext`]: what the C ABI cannot say, with a fallback where the engine is not ours.
//! - `standin`: what an older SDK lacks.
//!
//! Rules that all functions share (`abi.md` 4.0): those that return `c_int` or `ssize_t` give -1 and
//! set `errno` when they fail, those that return a pointer give null and set `errno`. Deadlines are
//! absolute, in nanoseconds of `llam_now_ns`. A null, dead or foreign handle gives `EINVAL`; a task
//! that uses an object of another runtime gets `EXDEV`; a cancelled task gets `ECANCELED` from calls
//! that park.
//!
//! # The engine
//!
//! Chosen by the build script, in this order:
//!
//! 1. an installed LLAM SDK, from 1.0.1 on, that the environment names;
//! 2. with feature `bundled` (default), the engine `llam-runtime`;
//! 3. otherwise the build stops with a message.
//!
//! | variable (paths are absolute) | meaning |
//! |---|---|
//! | `LLAM_SYS_PREFIX` | the SDK: `include/llam/runtime.h` and `lib/` are below it |
//! | `LLAM_SYS_INCLUDE_DIR`, `LLAM_SYS_LIB_DIR` | its two parts, together or in place of one of the prefix |
//! | `LLAM_SYS_LIB_NAME` | the library's name, `llam_runtime` by default |
//! | `LLAM_SYS_LINK_KIND` | `static` (default) or `dylib`; the latter must be found at run time, by `LD_LIBRARY_PATH` say |
//! | `LLAM_SYS_INSTALL_SCRIPT` | path or URL of the SDK's installer; URLs are fetched by `curl`. Any of these variables asks for it to be run |
//! | `LLAM_SYS_INSTALL_PREFIX` | where it installs, the build's own folder by default. An SDK of the right version there is used as it is |
//! | `LLAM_SYS_INSTALL_VERSION` | which release, 1.0.1 by default |
//! | `LLAM_SYS_INSTALL_TARGET` | `{macos,linux}-{x86_64,aarch64}` or `windows-x86_64`, by default the build's target |
//! | `LLAM_SYS_INSTALL_BASE_URL` | passed to the installer; without a script, where `install.sh` is fetched from |
//! | `LLAM_SYS_FORCE_INSTALL=1` | installs even when the SDK is there |
//! | `LLAM_SYS_NO_INSTALL=1` | never runs the installer |
//! | `DOCS_RS=1` | a documentation build: none of the above is looked at, nothing is run or linked |
//!
//! A static library's own needs are those its `lib/pkgconfig/llam.pc` lists, or else those of the LLAM C
//! SDK (on Linux `uring`, `m` and `pthread`). The build script reads the SDK's header: functions that it
//! does not declare are stood in for, under the same names, by code over those of 1.0. What cannot be
//! done that way fails with `ENOTSUP`: `llam_channel_try_send` and `llam_channel_try_recv_result` on a
//! host thread, `llam_io_buffer_alloc`, `_alloc_aligned`, `_alloc_ex` and `_alignment`,
//! `llam_recvfrom_owned`, `llam_pread_owned_aligned` and its handle form; `llam_runtime_spawn_ex` and
//! `llam_runtime_collect_stats_ex_handle` take the default runtime only (`EINVAL`).
//!
//! With feature `bindgen` the declarations come from the SDK's own header at build time, which needs
//! libclang; those that it lacks come from the checked-in file.
//!
//! Dependents find the SDK through the build-script variables `DEP_LLAM_RUNTIME_ROOT`,
//! `DEP_LLAM_RUNTIME_INCLUDE` and, with an installed SDK, `DEP_LLAM_RUNTIME_LIB`.

#![allow(
    non_camel_case_types,
    reason = "the names are those of the C headers, so that one documentation serves both"
)]

#[cfg(llam_bundled)]
extern crate llam_runtime as _;

#[cfg(not(llam_generated))]
#[cfg_attr(
    not(llam_bundled),
    allow(
        dead_code,
        unreachable_pub,
        reason = "where the SDK lacks a function, a stand-in has its place"
    )
)]
mod bindings;
/// The declarations of the header at hand; those that it lacks are the checked-in ones.
#[cfg(llam_generated)]
mod bindings {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_imports,
        reason = "the header need not be ours, and may be older"
    )]

    pub use crate::checked_in::*;

    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
#[cfg(llam_generated)]
#[path = "bindings.rs"]
#[allow(
    clashing_extern_declarations,
    dead_code,
    unreachable_pub,
    reason = "where the header at hand differs, it comes first"
)]
mod checked_in;
pub mod ext;
#[cfg(not(unix))]
mod foreign;
mod inline;
#[cfg(not(llam_bundled))]
mod standin;
mod types;

// One path to each name: with a second one, `rustc` finds what the generated declarations replace
// ambiguous.
pub use inline::*;
pub use types::*;

/// Exports a stand-in in place of the declaration of a function that the SDK lacks: an explicit name
/// wins over the glob import of the bindings.
#[cfg(not(llam_bundled))]
macro_rules! stand_in {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(
            #[cfg(llam_lacks = $text)]
            pub use standin::$name;
        )*
    };
}
#[cfg(not(llam_bundled))]
stand_in! {
    llam_runtime_spawn_ex = "llam_runtime_spawn_ex",
    llam_timer_create_ex = "llam_timer_create_ex",
    llam_timer_create = "llam_timer_create",
    llam_timer_wait = "llam_timer_wait",
    llam_timer_wait_until = "llam_timer_wait_until",
    llam_timer_reset = "llam_timer_reset",
    llam_timer_cancel = "llam_timer_cancel",
    llam_timer_destroy = "llam_timer_destroy",
    llam_signal_set_create_ex = "llam_signal_set_create_ex",
    llam_signal_wait = "llam_signal_wait",
    llam_signal_wait_until = "llam_signal_wait_until",
    llam_signal_set_destroy = "llam_signal_set_destroy",
    llam_channel_try_send = "llam_channel_try_send",
    llam_channel_try_recv_result = "llam_channel_try_recv_result",
    llam_writev = "llam_writev",
    llam_close = "llam_close",
    llam_close_handle = "llam_close_handle",
    llam_recvfrom = "llam_recvfrom",
    llam_sendto = "llam_sendto",
    llam_pread = "llam_pread",
    llam_pwrite = "llam_pwrite",
    llam_preadv = "llam_preadv",
    llam_pwritev = "llam_pwritev",
    llam_pread_handle = "llam_pread_handle",
    llam_pwrite_handle = "llam_pwrite_handle",
    llam_preadv_handle = "llam_preadv_handle",
    llam_pwritev_handle = "llam_pwritev_handle",
    llam_recvfrom_owned = "llam_recvfrom_owned",
    llam_pread_owned_aligned = "llam_pread_owned_aligned",
    llam_pread_handle_owned_aligned = "llam_pread_handle_owned_aligned",
    llam_io_buffer_opts_init = "llam_io_buffer_opts_init",
    llam_io_buffer_alloc_ex = "llam_io_buffer_alloc_ex",
    llam_io_buffer_alloc = "llam_io_buffer_alloc",
    llam_io_buffer_alloc_aligned = "llam_io_buffer_alloc_aligned",
    llam_io_buffer_alignment = "llam_io_buffer_alignment",
    llam_getaddrinfo_result = "llam_getaddrinfo_result",
    llam_freeaddrinfo_result = "llam_freeaddrinfo_result",
    llam_open_async = "llam_open_async",
    llam_stat_path_ex = "llam_stat_path_ex",
    llam_runtime_collect_stats_ex_handle = "llam_runtime_collect_stats_ex_handle",
}
