//! Owned buffers and owned reads: `abi.md` 4.16 and 5.12.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};

use common::io::{INET_LEN, TempFile, datagram_pair, directory, pair, pipe, udp};
use common::*;
use libc::{EBADF, EINVAL, EISDIR, ENOMEM, ENOTSOCK, EOVERFLOW, ESPIPE};
use llam_sys::*;

type Buffer = H<llam_io_buffer_t>;

/// A value of `*out` that the call must overwrite.
fn stale() -> *mut llam_io_buffer_t {
    word(0xDEAD_0000).cast()
}

/// The bytes of a buffer, which is then released.
fn into_bytes(buffer: Buffer) -> Vec<u8> {
    unsafe {
        let size = llam_io_buffer_size(buffer.raw());
        assert!(llam_io_buffer_capacity(buffer.raw()) >= size);
        let data = llam_io_buffer_data(buffer.raw()).cast::<u8>();
        let bytes = std::slice::from_raw_parts(data, size).to_vec();
        llam_io_buffer_release(buffer.raw());
        bytes
    }
}

/// Requires that a read gave this count and, unless it is 0, a buffer with these bytes.
fn expect(count: isize, out: *mut llam_io_buffer_t, bytes: &[u8]) {
    assert_eq!(count, bytes.len() as isize, "errno {}", errno());
    if bytes.is_empty() {
        assert!(out.is_null(), "a buffer without bytes");
    } else {
        assert_eq!(into_bytes(H::new(out)), bytes);
    }
}

/// Requires failure with this code and a cleared output.
macro_rules! refuses {
    ($out:ident, $call:expr, $code:expr) => {{
        $out = stale();
        fails!($call, $code);
        assert!($out.is_null(), "the output is cleared first");
    }};
}

fn assert_dead(buffer: *mut llam_io_buffer_t) {
    unsafe {
        set_errno(0);
        assert!(llam_io_buffer_data(buffer).is_null());
        assert_eq!(errno(), EINVAL);
        let sizes: [unsafe extern "C" fn(*const llam_io_buffer_t) -> usize; 3] = [
            llam_io_buffer_size,
            llam_io_buffer_capacity,
            llam_io_buffer_alignment,
        ];
        for size in sizes {
            set_errno(0);
            assert_eq!(size(buffer), 0);
            assert_eq!(errno(), EINVAL);
        }
    }
}

#[test]
fn plain_buffers_need_no_runtime() {
    everywhere(|| unsafe {
        for capacity in [0, 1, 100, 4096, 4097, 1 << 20] {
            let mut out = stale();
            ok!(llam_io_buffer_alloc(capacity, &mut out));
            assert_eq!(llam_io_buffer_size(out), 0);
            assert!(llam_io_buffer_capacity(out) >= capacity);
            assert_eq!(llam_io_buffer_alignment(out), 8);
            let data = llam_io_buffer_data(out).cast::<u8>();
            assert!(!data.is_null());
            assert_eq!(data.addr() % 8, 0);
            std::ptr::write_bytes(data, 0x11, llam_io_buffer_capacity(out));
            assert_eq!(
                llam_io_buffer_data(out),
                data.cast(),
                "the address is stable"
            );
            llam_io_buffer_release(out);
        }
    });
}

#[test]
fn alloc_refuses_in_this_order() {
    everywhere(|| unsafe {
        let mut out;
        let mut opts = llam_io_buffer_opts_t {
            capacity: 10,
            alignment: 3,
            flags: 2,
            reserved0: 0,
        };
        fails!(llam_io_buffer_alloc_ex(&opts, 0, null_mut()), EINVAL);
        fails!(llam_io_buffer_alloc(10, null_mut()), EINVAL);
        fails!(llam_io_buffer_alloc_aligned(10, 64, null_mut()), EINVAL);
        refuses!(out, llam_io_buffer_alloc_ex(&opts, 0, &mut out), EINVAL);
        refuses!(out, llam_io_buffer_alloc_ex(&opts, 24, &mut out), EINVAL);
        opts.alignment = 0;
        refuses!(out, llam_io_buffer_alloc_ex(&opts, 24, &mut out), EINVAL);
        for alignment in [1, 2, 3, 4, 7, 24, 100, usize::MAX] {
            refuses!(
                out,
                llam_io_buffer_alloc_aligned(10, alignment, &mut out),
                EINVAL
            );
        }
        refuses!(
            out,
            llam_io_buffer_alloc(isize::MAX as usize, &mut out),
            ENOMEM
        );
        refuses!(out, llam_io_buffer_alloc(usize::MAX, &mut out), ENOMEM);
    });
}

#[test]
fn alignments_are_kept_and_reported() {
    everywhere(|| unsafe {
        for alignment in [8, 16, 64, 512, 4096, 1 << 16] {
            for capacity in [0, 1, 5000] {
                let mut out = null_mut();
                ok!(llam_io_buffer_alloc_aligned(capacity, alignment, &mut out));
                assert_eq!(llam_io_buffer_data(out).addr() % alignment, 0);
                assert_eq!(llam_io_buffer_alignment(out), alignment);
                assert!(llam_io_buffer_capacity(out) >= capacity);
                llam_io_buffer_release(out);
            }
        }
        let mut out = null_mut();
        ok!(llam_io_buffer_alloc_aligned(1, 0, &mut out));
        assert_eq!(llam_io_buffer_alignment(out), 8);
        llam_io_buffer_release(out);
    });
}

#[test]
fn zero_fill_zeroes_recycled_memory() {
    everywhere(|| unsafe {
        for capacity in [64, 4096, 100_000] {
            for _ in 0..5 {
                let mut out = null_mut();
                ok!(llam_io_buffer_alloc(capacity, &mut out));
                std::ptr::write_bytes(llam_io_buffer_data(out).cast::<u8>(), 0xFF, capacity);
                llam_io_buffer_release(out);
                let opts = llam_io_buffer_opts_t {
                    capacity,
                    alignment: 0,
                    flags: LLAM_IO_BUFFER_F_ZERO_FILL,
                    reserved0: 7,
                };
                ok!(llam_io_buffer_alloc_ex(&opts, 24, &mut out));
                let data = llam_io_buffer_data(out).cast::<u8>();
                assert!(
                    std::slice::from_raw_parts(data, capacity)
                        .iter()
                        .all(|b| *b == 0)
                );
                llam_io_buffer_release(out);
            }
        }
    });
}

#[test]
fn null_options_are_an_empty_buffer() {
    let _serial = serial();
    let mut out = null_mut();
    ok!(unsafe { llam_io_buffer_alloc_ex(null(), 0, &mut out) });
    assert_eq!(unsafe { llam_io_buffer_size(out) }, 0);
    unsafe { llam_io_buffer_release(out) };
}

#[test]
fn dead_buffers_are_refused_and_releases_ignored() {
    everywhere(|| unsafe {
        assert_dead(null_mut());
        llam_io_buffer_release(null_mut());
        let mut out = null_mut();
        ok!(llam_io_buffer_alloc(10, &mut out));
        llam_io_buffer_release(out);
        assert_dead(out);
        llam_io_buffer_release(out);
        let mut newer = Vec::new();
        for _ in 0..64 {
            let mut buffer = null_mut();
            ok!(llam_io_buffer_alloc(10, &mut buffer));
            newer.push(H::new(buffer));
            llam_io_buffer_release(out);
            assert_dead(out);
        }
        for buffer in newer {
            assert!(
                llam_io_buffer_capacity(buffer.raw()) >= 10,
                "a stale release freed it"
            );
            llam_io_buffer_release(buffer.raw());
        }
    });
}

#[test]
fn buffers_outlive_the_runtime_that_filled_them() {
    let serial_live = live();
    let buffer = in_task(&serial_live, || unsafe {
        let (a, b) = pair();
        b.put(b"outlives");
        let mut out = null_mut();
        assert_eq!(ok!(llam_read_owned(a.raw(), 100, &mut out)), 8);
        H::new(out)
    });
    drop(serial_live);
    assert_eq!(into_bytes(buffer), b"outlives");
}

#[test]
fn read_owned_refuses_in_this_order() {
    everywhere(|| unsafe {
        let too_many = u32::MAX as usize + 1;
        let mut out;
        fails!(
            llam_read_owned(LLAM_INVALID_FD, too_many, null_mut()),
            EINVAL
        );
        fails!(llam_read_owned(LLAM_INVALID_FD, 0, null_mut()), EINVAL);
        refuses!(
            out,
            llam_read_owned(LLAM_INVALID_FD, too_many, &mut out),
            EINVAL
        );
        out = stale();
        assert_eq!(ok!(llam_read_owned(LLAM_INVALID_FD, 0, &mut out)), 0);
        assert!(out.is_null());
        refuses!(out, llam_read_owned(LLAM_INVALID_FD, 1, &mut out), EBADF);
        refuses!(out, llam_read_owned(directory().raw(), 1, &mut out), EISDIR);
        let file = TempFile::with(b"x");
        refuses!(
            out,
            llam_read_owned(file.open(libc::O_WRONLY).raw(), 1, &mut out),
            EBADF
        );
    });
}

#[test]
fn recv_owned_refuses_in_this_order() {
    everywhere(|| unsafe {
        let mut out;
        let (reader, writer) = pipe();
        writer.put(b"x");
        fails!(llam_recv_owned(LLAM_INVALID_FD, 1, 0, null_mut()), EINVAL);
        refuses!(
            out,
            llam_recv_owned(LLAM_INVALID_FD, usize::MAX, 0, &mut out),
            EINVAL
        );
        out = stale();
        assert_eq!(ok!(llam_recv_owned(LLAM_INVALID_FD, 0, 0, &mut out)), 0);
        assert!(out.is_null());
        refuses!(out, llam_recv_owned(LLAM_INVALID_FD, 1, 0, &mut out), EBADF);
        refuses!(out, llam_recv_owned(reader.raw(), 1, 0, &mut out), ENOTSOCK);
    });
}

#[test]
fn owned_reads_give_a_buffer_with_the_bytes() {
    everywhere(|| unsafe {
        let (a, b) = pair();
        b.put(b"hello world");
        let mut out = stale();
        expect(llam_read_owned(a.raw(), 5, &mut out), out, b"hello");
        expect(
            llam_recv_owned(a.raw(), 3, libc::MSG_PEEK, &mut out),
            out,
            b" wo",
        );
        expect(llam_recv_owned(a.raw(), 100, 0, &mut out), out, b" world");
        drop(b);
        expect(llam_read_owned(a.raw(), 5, &mut out), out, b"");
        expect(llam_recv_owned(a.raw(), 5, 0, &mut out), out, b"");
        let file = TempFile::with(b"file");
        let fd = file.open(libc::O_RDONLY);
        expect(llam_read_owned(fd.raw(), 1 << 20, &mut out), out, b"file");
        expect(llam_read_owned(fd.raw(), 10, &mut out), out, b"");
    });
}

#[test]
fn owned_reads_wait_in_either_mode() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            for flags in [None, Some(0), Some(libc::MSG_DONTWAIT)] {
                let (a, b) = pair();
                let a = a.nonblocking(nonblocking);
                let task = spawn(move || {
                    let mut out = stale();
                    let n = match flags {
                        None => llam_read_owned(a.raw(), 100, &mut out),
                        Some(flags) => llam_recv_owned(a.raw(), 100, flags, &mut out),
                    };
                    expect(n, out, b"late");
                });
                await_parked(task);
                b.put(b"late");
                join(task);
            }
        }
    });
}

#[test]
fn megabytes_come_through_owned_reads() {
    run_in_task(|| unsafe {
        let (a, b) = pair();
        let writer = spawn(move || {
            let block = vec![0x42_u8; 1 << 20];
            let mut sent = 0;
            while sent < block.len() {
                let rest = &block[sent..];
                sent += ok!(llam_write(b.raw(), rest.as_ptr().cast(), rest.len())) as usize;
            }
        });
        let mut received = 0;
        while received < 1 << 20 {
            let mut out = stale();
            let n = ok!(llam_read_owned(a.raw(), 300_000, &mut out)) as usize;
            let bytes = into_bytes(H::new(out));
            assert_eq!(bytes.len(), n);
            assert!(bytes.iter().all(|b| *b == 0x42));
            received += n;
        }
        join(writer);
    });
}

#[test]
fn recvfrom_owned_refuses_in_this_order() {
    everywhere(|| unsafe {
        let mut out;
        let bad = LLAM_INVALID_FD;
        let mut len = INET_LEN;
        let mut addr = common::io::loopback(0);
        let addr = (&raw mut addr).cast();
        fails!(
            llam_recvfrom_owned(bad, 1, 0, addr, null_mut(), null_mut()),
            EINVAL
        );
        refuses!(
            out,
            llam_recvfrom_owned(bad, 1, 0, addr, null_mut(), &mut out),
            EINVAL
        );
        refuses!(
            out,
            llam_recvfrom_owned(bad, 1, 0, null_mut(), &mut len, &mut out),
            EINVAL
        );
        out = stale();
        assert_eq!(
            ok!(llam_recvfrom_owned(
                bad,
                0,
                0,
                null_mut(),
                null_mut(),
                &mut out
            )),
            0
        );
        assert!(out.is_null());
        refuses!(
            out,
            llam_recvfrom_owned(bad, 1, 0, null_mut(), null_mut(), &mut out),
            EBADF
        );
    });
}

#[test]
fn recvfrom_owned_tells_the_sender_even_of_nothing() {
    everywhere(|| unsafe {
        let (a, a_addr) = udp();
        let (b, b_addr) = udp();
        for text in [&b"datagram"[..], b""] {
            let to = (&raw const b_addr).cast();
            let sent = libc::sendto(a.raw(), text.as_ptr().cast(), text.len(), 0, to, INET_LEN);
            assert_eq!(sent, text.len() as isize);
            let mut from = common::io::loopback(0);
            let mut len = INET_LEN;
            let mut out = stale();
            let from_ptr = (&raw mut from).cast();
            let n = llam_recvfrom_owned(b.raw(), 100, 0, from_ptr, &mut len, &mut out);
            expect(n, out, text);
            assert_eq!((from.sin_port, len), (a_addr.sin_port, INET_LEN));
        }
    });
}

#[test]
fn recvfrom_owned_waits() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (a, b) = datagram_pair();
            let b = b.nonblocking(nonblocking);
            let task = spawn(move || {
                let mut out = stale();
                let n = llam_recvfrom_owned(b.raw(), 9, 0, null_mut(), null_mut(), &mut out);
                expect(n, out, b"waited");
            });
            await_parked(task);
            a.put(b"waited");
            join(task);
        }
    });
}

#[test]
fn pread_owned_refuses_in_this_order() {
    everywhere(|| unsafe {
        type Pread =
            unsafe extern "C" fn(i32, usize, u64, usize, *mut *mut llam_io_buffer_t) -> isize;
        let calls: [Pread; 2] = [llam_pread_owned_aligned, llam_pread_handle_owned_aligned];
        let file = TempFile::with(b"x");
        let (reader, _writer) = pipe();
        for pread in calls {
            let mut out;
            let bad = LLAM_INVALID_FD;
            let too_many = u32::MAX as usize + 1;
            fails!(pread(bad, 1, 0, 0, null_mut()), EINVAL);
            refuses!(out, pread(bad, too_many, u64::MAX, 3, &mut out), EINVAL);
            refuses!(out, pread(bad, 0, u64::MAX, 3, &mut out), EINVAL);
            out = stale();
            assert_eq!(ok!(pread(bad, 0, u64::MAX, 0, &mut out)), 0);
            assert!(out.is_null());
            refuses!(out, pread(bad, 1, u64::MAX, 0, &mut out), EBADF);
            let write_only = file.open(libc::O_WRONLY);
            refuses!(
                out,
                pread(write_only.raw(), 1, u64::MAX, 0, &mut out),
                EBADF
            );
            refuses!(
                out,
                pread(directory().raw(), 1, u64::MAX, 0, &mut out),
                EISDIR
            );
            refuses!(out, pread(reader.raw(), 1, u64::MAX, 0, &mut out), ESPIPE);
            refuses!(out, pread(pair().0.raw(), 1, 0, 0, &mut out), ESPIPE);
            let read_only = file.open(libc::O_RDONLY);
            refuses!(
                out,
                pread(read_only.raw(), 1, u64::MAX, 0, &mut out),
                EOVERFLOW
            );
        }
    });
}

#[test]
fn pread_owned_reads_into_aligned_memory() {
    everywhere(|| unsafe {
        let file = TempFile::with(b"0123456789");
        let fd = file.open(libc::O_RDONLY);
        for alignment in [0, 8, 512, 4096] {
            let mut out = stale();
            let n = llam_pread_owned_aligned(fd.raw(), 4, 3, alignment, &mut out);
            assert_eq!(n, 4, "errno {}", errno());
            assert_eq!(llam_io_buffer_data(out).addr() % alignment.max(8), 0);
            assert_eq!(llam_io_buffer_alignment(out), alignment.max(8));
            expect(n, out, b"3456");
            let n = llam_pread_handle_owned_aligned(fd.raw(), 100, 8, alignment, &mut out);
            expect(n, out, b"89");
            let n = llam_pread_owned_aligned(fd.raw(), 4, 10, alignment, &mut out);
            expect(n, out, b"");
        }
        assert_eq!(libc::lseek(fd.raw(), 0, libc::SEEK_CUR), 0);
    });
}
