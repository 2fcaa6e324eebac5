//! Names and files: `abi.md` 4.17.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::ptr::{null, null_mut};

use common::io::{Fd, TempFile, c_path};
use common::*;
use libc::{EACCES, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR};
use llam_sys::*;

/// The first address of a successful numeric lookup, as `(family, port)`; the list is freed.
fn lookup(node: Option<&CStr>, service: Option<&CStr>, flags: i32) -> Result<(i32, u16), i32> {
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_INET;
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut list = word(8).cast();
    let mut verdict = 12_345;
    let text = |t: Option<&CStr>| t.map_or(null(), CStr::as_ptr);
    ok!(unsafe {
        llam_getaddrinfo_result(text(node), text(service), &hints, &mut list, &mut verdict)
    });
    if verdict != 0 {
        assert!(list.is_null());
        return Err(verdict);
    }
    unsafe {
        let first = &*list;
        let addr = &*first.ai_addr.cast::<libc::sockaddr_in>();
        let found = (first.ai_family, u16::from_be(addr.sin_port));
        llam_freeaddrinfo_result(list);
        Ok(found)
    }
}

fn stat(path: &CStr) -> llam_file_stat_t {
    let mut stat = MaybeUninit::uninit();
    unsafe {
        ok!(llam_stat_path_ex(
            path.as_ptr(),
            stat.as_mut_ptr(),
            LLAM_FILE_STAT_CURRENT_SIZE
        ));
        stat.assume_init()
    }
}

#[test]
fn a_numeric_name_is_resolved() {
    everywhere(|| {
        let numeric = libc::AI_NUMERICHOST | libc::AI_NUMERICSERV;
        assert_eq!(
            lookup(Some(c"127.0.0.1"), Some(c"80"), numeric),
            Ok((libc::AF_INET, 80))
        );
        assert_eq!(
            lookup(Some(c"127.0.0.1"), None, numeric),
            Ok((libc::AF_INET, 0))
        );
        let passive = numeric | libc::AI_PASSIVE;
        assert_eq!(
            lookup(None, Some(c"8080"), passive),
            Ok((libc::AF_INET, 8080))
        );
    });
}

#[test]
fn the_verdict_of_the_resolver_is_no_failure_of_the_call() {
    everywhere(|| {
        let result = lookup(Some(c"not a number"), None, libc::AI_NUMERICHOST);
        assert_eq!(result, Err(libc::EAI_NONAME));
    });
}

#[test]
fn bad_lookups_leave_the_outputs_alone() {
    everywhere(|| unsafe {
        let node = c"127.0.0.1".as_ptr();
        let mut list = word(8).cast();
        let mut verdict = 5;
        fails!(
            llam_getaddrinfo_result(node, null(), null(), null_mut(), &mut verdict),
            EINVAL
        );
        fails!(
            llam_getaddrinfo_result(node, null(), null(), &mut list, null_mut()),
            EINVAL
        );
        fails!(
            llam_getaddrinfo_result(null(), null(), null(), &mut list, &mut verdict),
            EINVAL
        );
        assert_eq!((list, verdict), (word(8).cast(), 5));
        llam_freeaddrinfo_result(null_mut());
    });
}

#[test]
fn open_opens_and_adds_no_flags() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"content");
        let mut out = LLAM_INVALID_HANDLE;
        ok!(llam_open_async(
            file.c_path().as_ptr(),
            libc::O_RDONLY,
            0,
            &mut out
        ));
        assert_eq!(libc::fcntl(out, libc::F_GETFD) & libc::FD_CLOEXEC, 0);
        assert_eq!(
            libc::fcntl(out, libc::F_GETFL) & libc::O_ACCMODE,
            libc::O_RDONLY
        );
        let mut bytes = [0_u8; 20];
        assert_eq!(ok!(llam_read_handle(out, bytes.as_mut_ptr().cast(), 20)), 7);
        assert_eq!(&bytes[..7], b"content");
        ok!(llam_close_handle(out));
        ok!(llam_open_async(
            file.c_path().as_ptr(),
            libc::O_RDWR | libc::O_CLOEXEC,
            0,
            &mut out
        ));
        assert_ne!(libc::fcntl(out, libc::F_GETFD) & libc::FD_CLOEXEC, 0);
        ok!(llam_close(out));
    });
}

#[test]
fn open_creates_with_the_mode() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"");
        std::fs::remove_file(file.path()).expect("it was there");
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let mut out = LLAM_INVALID_HANDLE;
        ok!(llam_open_async(
            file.c_path().as_ptr(),
            flags,
            0o600,
            &mut out
        ));
        let fd = Fd::new(out);
        fd.put(b"new");
        let mode = std::fs::metadata(file.path())
            .expect("created")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        out = 77;
        fails!(
            llam_open_async(file.c_path().as_ptr(), flags, 0o600, &mut out),
            EEXIST
        );
        assert_eq!(out, LLAM_INVALID_HANDLE);
        assert_eq!(file.content(), b"new");
    });
}

#[test]
fn open_refuses_and_clears() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"");
        let mut out = 77;
        fails!(llam_open_async(null(), libc::O_RDONLY, 0, &mut out), EINVAL);
        assert_eq!(out, 77, "untouched when an argument is NULL");
        fails!(
            llam_open_async(file.c_path().as_ptr(), libc::O_RDONLY, 0, null_mut()),
            EINVAL
        );
        let missing = c"/nowhere/at/all";
        fails!(
            llam_open_async(missing.as_ptr(), libc::O_RDONLY, 0, &mut out),
            ENOENT
        );
        assert_eq!(out, LLAM_INVALID_HANDLE);
        let directory = c_path(&std::env::temp_dir());
        out = 77;
        fails!(
            llam_open_async(directory.as_ptr(), libc::O_WRONLY, 0, &mut out),
            EISDIR
        );
        assert_eq!(out, LLAM_INVALID_HANDLE);
        fails!(
            llam_open_async(c"".as_ptr(), libc::O_RDONLY, 0, &mut out),
            ENOENT
        );
        if libc::geteuid() != 0 {
            let locked = std::fs::Permissions::from_mode(0o000);
            std::fs::set_permissions(file.path(), locked).expect("the owner may");
            fails!(
                llam_open_async(file.c_path().as_ptr(), libc::O_RDONLY, 0, &mut out),
                EACCES
            );
        }
    });
}

#[test]
fn stat_tells_size_type_mode_and_times() {
    everywhere(|| {
        let file = TempFile::with(b"twelve bytes");
        let facts = stat(&file.c_path());
        let metadata = std::fs::metadata(file.path()).expect("it is there");
        assert_eq!(facts.size, 12);
        assert_eq!(facts.type_, LLAM_FILE_TYPE_REGULAR);
        assert_eq!(facts.mode, metadata.mode());
        assert_eq!(facts.reserved0, 0);
        for (ours, seconds) in [
            (facts.mtime_ns, metadata.mtime()),
            (facts.atime_ns, metadata.atime()),
            (facts.ctime_ns, metadata.ctime()),
        ] {
            assert_eq!(ours / 1_000_000_000, seconds as u64);
        }
    });
}

#[test]
fn stat_tells_kinds_and_follows_links() {
    everywhere(|| unsafe {
        let directory = c_path(&std::env::temp_dir());
        assert_eq!(stat(&directory).type_, LLAM_FILE_TYPE_DIRECTORY);
        assert_eq!(stat(c"/dev/null").type_, LLAM_FILE_TYPE_OTHER);
        let file = TempFile::with(b"abc");
        let link = TempFile::with(b"");
        std::fs::remove_file(link.path()).expect("it was there");
        assert_eq!(
            libc::symlink(file.c_path().as_ptr(), link.c_path().as_ptr()),
            0
        );
        let facts = stat(&link.c_path());
        assert_eq!((facts.type_, facts.size), (LLAM_FILE_TYPE_REGULAR, 3));
    });
}

#[test]
fn stat_clamps_times_before_1970() {
    let _serial = serial();
    let file = TempFile::with(b"old");
    let old = libc::timespec {
        tv_sec: -1000,
        tv_nsec: 0,
    };
    let code = unsafe {
        libc::utimensat(
            libc::AT_FDCWD,
            file.c_path().as_ptr(),
            [old, old].as_ptr(),
            0,
        )
    };
    assert_eq!(code, 0);
    let facts = stat(&file.c_path());
    assert_eq!((facts.mtime_ns, facts.atime_ns), (0, 0));
}

#[test]
fn stat_refuses_and_zeroes_the_prefix() {
    everywhere(|| unsafe {
        let mut room = [0xA5_u8; 64];
        let out = room.as_mut_ptr().cast();
        fails!(llam_stat_path_ex(null(), out, 48), EINVAL);
        fails!(llam_stat_path_ex(c"/".as_ptr(), null_mut(), 48), EINVAL);
        fails!(llam_stat_path_ex(c"/".as_ptr(), out, 0), EINVAL);
        assert!(
            room.iter().all(|b| *b == 0xA5),
            "written in spite of a bad argument"
        );
        for size in [1, 20, 48, 64] {
            room = [0xA5; 64];
            let out = room.as_mut_ptr().cast();
            fails!(llam_stat_path_ex(c"/nowhere".as_ptr(), out, size), ENOENT);
            let prefix = size.min(48);
            assert!(room[..prefix].iter().all(|b| *b == 0), "size {size}");
            assert!(room[prefix..].iter().all(|b| *b == 0xA5), "size {size}");
        }
        let out = room.as_mut_ptr().cast();
        fails!(llam_stat_path_ex(c"/dev/null/x".as_ptr(), out, 48), ENOTDIR);
    });
}

#[test]
fn many_tasks_open_and_stat_at_once() {
    run_in_task(|| {
        let tasks: Vec<Task> = (0..40)
            .map(|number| {
                spawn(move || unsafe {
                    let file = TempFile::with(&vec![b'x'; number]);
                    assert_eq!(stat(&file.c_path()).size, number as u64);
                    let mut out = LLAM_INVALID_HANDLE;
                    ok!(llam_open_async(
                        file.c_path().as_ptr(),
                        libc::O_RDONLY,
                        0,
                        &mut out
                    ));
                    ok!(llam_close_handle(out));
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
    });
}
