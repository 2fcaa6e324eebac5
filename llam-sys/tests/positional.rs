//! Positional reads and writes: `abi.md` 4.15.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};

use common::io::{Fd, TempFile, buf, pair, pipe};
use common::*;
use core::ffi::c_void;
use libc::{EBADF, EINVAL, EOVERFLOW, ESPIPE};
use llam_sys::*;

type Pread = unsafe extern "C" fn(i32, *mut c_void, usize, u64) -> isize;
type Pwrite = unsafe extern "C" fn(i32, *const c_void, usize, u64) -> isize;
type Preadv = unsafe extern "C" fn(i32, *const llam_mut_iovec_t, i32, u64) -> isize;
type Pwritev = unsafe extern "C" fn(i32, *const llam_iovec_t, i32, u64) -> isize;

const PREADS: [Pread; 2] = [llam_pread, llam_pread_handle];
const PWRITES: [Pwrite; 2] = [llam_pwrite, llam_pwrite_handle];
const PREADVS: [Preadv; 2] = [llam_preadv, llam_preadv_handle];
const PWRITEVS: [Pwritev; 2] = [llam_pwritev, llam_pwritev_handle];

fn position(fd: &Fd) -> i64 {
    unsafe { libc::lseek(fd.raw(), 0, libc::SEEK_CUR) }
}

#[test]
fn reads_and_writes_do_not_move_the_position() {
    everywhere(|| unsafe {
        for (pread, pwrite) in PREADS.into_iter().zip(PWRITES) {
            let file = TempFile::with(b"0123456789");
            let fd = file.open(libc::O_RDWR);
            assert_eq!(libc::lseek(fd.raw(), 3, libc::SEEK_SET), 3);
            assert_eq!(ok!(pwrite(fd.raw(), b"ab".as_ptr().cast(), 2, 7)), 2);
            let mut bytes = [0_u8; 8];
            assert_eq!(ok!(pread(fd.raw(), buf(&mut bytes), 5, 5)), 5);
            assert_eq!(&bytes[..5], b"56ab9");
            assert_eq!(
                ok!(pread(fd.raw(), buf(&mut bytes), 8, 8)),
                2,
                "a short read"
            );
            assert_eq!(
                ok!(pread(fd.raw(), buf(&mut bytes), 8, 10)),
                0,
                "at the end"
            );
            assert_eq!(
                ok!(pread(fd.raw(), buf(&mut bytes), 8, 1000)),
                0,
                "past the end"
            );
            assert_eq!(ok!(pwrite(fd.raw(), b"end".as_ptr().cast(), 3, 12)), 3);
            assert_eq!(file.content(), b"0123456ab9\0\0end");
            assert_eq!(position(&fd), 3);
        }
    });
}

#[test]
fn errors_come_in_this_order() {
    everywhere(|| unsafe {
        let (reader, writer) = pipe();
        let mut bytes = [0_u8; 4];
        let to = buf(&mut bytes);
        let too_many = u32::MAX as usize + 1;
        let too_far = i64::MAX as u64 + 1;
        for pread in PREADS {
            fails!(pread(LLAM_INVALID_FD, null_mut(), 4, too_far), EINVAL);
            fails!(pread(LLAM_INVALID_FD, to, too_many, too_far), EINVAL);
            fails!(pread(LLAM_INVALID_FD, to, 4, too_far), EOVERFLOW);
            fails!(pread(LLAM_INVALID_FD, to, 4, u64::MAX), EOVERFLOW);
            fails!(pread(LLAM_INVALID_FD, to, 4, 0), EBADF);
            fails!(pread(reader.raw(), to, 4, 0), ESPIPE);
            fails!(pread(pair().0.raw(), to, 4, 0), ESPIPE);
        }
        for pwrite in PWRITES {
            fails!(pwrite(LLAM_INVALID_FD, null(), 4, too_far), EINVAL);
            fails!(pwrite(LLAM_INVALID_FD, to, too_many, too_far), EINVAL);
            fails!(pwrite(LLAM_INVALID_FD, to, 4, too_far), EOVERFLOW);
            fails!(pwrite(LLAM_INVALID_FD, to, 4, 0), EBADF);
            fails!(pwrite(writer.raw(), to, 4, 0), ESPIPE);
        }
    });
}

#[test]
fn a_largest_offset_does_not_touch_the_position() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"unchanged");
        let fd = file.open(libc::O_RDWR);
        let mut bytes = [0_u8; 4];
        fails!(
            llam_pread(fd.raw(), buf(&mut bytes), 4, u64::MAX),
            EOVERFLOW
        );
        fails!(
            llam_pwrite(fd.raw(), buf(&mut bytes), 4, u64::MAX),
            EOVERFLOW
        );
        assert_eq!(position(&fd), 0);
        assert_eq!(file.content(), b"unchanged");
    });
}

#[test]
fn no_bytes_are_0() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"x");
        let fd = file.open(libc::O_RDWR);
        for pread in PREADS {
            assert_eq!(ok!(pread(fd.raw(), null_mut(), 0, 0)), 0);
        }
        for pwrite in PWRITES {
            assert_eq!(ok!(pwrite(fd.raw(), null(), 0, 0)), 0);
        }
        assert_eq!(file.content(), b"x");
    });
}

#[test]
fn the_access_mode_is_checked() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"x");
        let mut bytes = [0_u8; 1];
        let read_only = file.open(libc::O_RDONLY);
        fails!(llam_pwrite(read_only.raw(), buf(&mut bytes), 1, 0), EBADF);
        let write_only = file.open(libc::O_WRONLY);
        fails!(llam_pread(write_only.raw(), buf(&mut bytes), 1, 0), EBADF);
    });
}

#[test]
fn vectors_are_checked_before_the_descriptor() {
    everywhere(|| unsafe {
        let bad = LLAM_INVALID_FD;
        let mut byte = [0_u8; 1];
        let good = llam_mut_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: 1,
        };
        let no_base = llam_mut_iovec_t {
            iov_base: null_mut(),
            iov_len: 1,
        };
        let huge = llam_mut_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: isize::MAX as usize,
        };
        for preadv in PREADVS {
            fails!(preadv(bad, &good, -1, 0), EINVAL);
            fails!(preadv(bad, &good, 1_000_000, 0), EINVAL);
            assert_eq!(ok!(preadv(bad, null(), 0, 0)), 0);
            fails!(preadv(bad, null(), 1, 0), EINVAL);
            fails!(preadv(bad, [good, no_base].as_ptr(), 2, 0), EINVAL);
            fails!(preadv(bad, [good, huge].as_ptr(), 2, 0), EINVAL);
            fails!(preadv(bad, &good, 1, u64::MAX), EOVERFLOW);
            fails!(preadv(bad, &good, 1, 0), EBADF);
        }
        let good = llam_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: 1,
        };
        let no_base = llam_iovec_t {
            iov_base: null(),
            iov_len: 1,
        };
        let huge = llam_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: isize::MAX as usize,
        };
        for pwritev in PWRITEVS {
            fails!(pwritev(bad, &good, -1, 0), EINVAL);
            fails!(pwritev(bad, &good, 1_000_000, 0), EINVAL);
            assert_eq!(ok!(pwritev(bad, null(), 0, 0)), 0);
            fails!(pwritev(bad, null(), 1, 0), EINVAL);
            fails!(pwritev(bad, [good, no_base].as_ptr(), 2, 0), EINVAL);
            fails!(pwritev(bad, [good, huge].as_ptr(), 2, 0), EINVAL);
            fails!(pwritev(bad, &good, 1, u64::MAX), EOVERFLOW);
            fails!(pwritev(bad, &good, 1, 0), EBADF);
        }
    });
}

#[test]
fn vectors_are_filled_and_written_in_order() {
    everywhere(|| unsafe {
        for (preadv, pwritev) in PREADVS.into_iter().zip(PWRITEVS) {
            let file = TempFile::with(b"..........");
            let fd = file.open(libc::O_RDWR);
            let slice = |text: &[u8]| llam_iovec_t {
                iov_base: text.as_ptr().cast(),
                iov_len: text.len(),
            };
            let empty = llam_iovec_t {
                iov_base: null(),
                iov_len: 0,
            };
            let from = [slice(b"ab"), empty, slice(b"cde")];
            assert_eq!(ok!(pwritev(fd.raw(), from.as_ptr(), 3, 2)), 5);
            assert_eq!(file.content(), b"..abcde...");
            let (mut first, mut second) = ([0_u8; 4], [0_u8; 20]);
            let into = [
                llam_mut_iovec_t {
                    iov_base: buf(&mut first),
                    iov_len: 4,
                },
                llam_mut_iovec_t {
                    iov_base: null_mut(),
                    iov_len: 0,
                },
                llam_mut_iovec_t {
                    iov_base: buf(&mut second),
                    iov_len: 20,
                },
            ];
            assert_eq!(ok!(preadv(fd.raw(), into.as_ptr(), 3, 1)), 9);
            assert_eq!((&first, &second[..5]), (b".abc", &b"de..."[..]));
            assert_eq!(position(&fd), 0);
        }
    });
}

#[test]
fn vectors_refuse_pipes() {
    everywhere(|| unsafe {
        let (reader, writer) = pipe();
        let mut byte = [0_u8; 1];
        let into = llam_mut_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: 1,
        };
        let from = llam_iovec_t {
            iov_base: buf(&mut byte),
            iov_len: 1,
        };
        fails!(llam_preadv(reader.raw(), &into, 1, 0), ESPIPE);
        fails!(llam_pwritev(writer.raw(), &from, 1, 0), ESPIPE);
    });
}

#[test]
fn many_tasks_use_one_file() {
    run_in_task(|| {
        let file = TempFile::with(b"");
        let fd = file.open(libc::O_RDWR);
        let tasks: Vec<Task> = (0..50_u8)
            .map(|number| {
                let fd = fd.clone();
                spawn(move || unsafe {
                    let mut block = [number; 1000];
                    let at = u64::from(number) * 1000;
                    assert_eq!(ok!(llam_pwrite(fd.raw(), buf(&mut block), 1000, at)), 1000);
                    let mut back = [0xFF_u8; 1000];
                    assert_eq!(ok!(llam_pread(fd.raw(), buf(&mut back), 1000, at)), 1000);
                    assert_eq!(back, block);
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
        let content = file.content();
        assert_eq!(content.len(), 50_000);
        assert!(
            content
                .iter()
                .enumerate()
                .all(|(at, byte)| usize::from(*byte) == at / 1000)
        );
    });
}
