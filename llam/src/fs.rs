//! Files.
//!
//! Owns [`File`]. Opening runs on the engine's blocking pool, so that a slow file system holds up the
//! task alone; reads and writes go through the engine too (`abi.md` 4.14 I3, 4.17). On a host thread
//! all are the plain system calls.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::io as raw_io;
use crate::sys;

/// An open file. Reading and writing moves its position, as with [`std::fs::File`].
///
/// ```
/// use std::io::{Read, Write};
/// let path = std::env::temp_dir().join(format!("llam-doc-{}", std::process::id()));
/// let name = path.clone();
/// llam::run(move || {
///     llam::fs::File::create(&name)?.write_all(b"text")?;
///     let mut text = String::new();
///     llam::fs::File::open(&name)?.read_to_string(&mut text)?;
///     assert_eq!(text, "text");
///     Ok(())
/// }).unwrap();
/// std::fs::remove_file(path).unwrap();
/// ```
#[derive(Debug)]
pub struct File {
    /// Closed through the engine, never by its own drop.
    fd: ManuallyDrop<OwnedFd>,
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    crate::time::check_scope()?;
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    loop {
        let mut fd = sys::LLAM_INVALID_HANDLE;
        // SAFETY: the path is NUL-terminated and outlives the call; `fd` is a local.
        let status = unsafe {
            sys::llam_open_async(path.as_ptr(), flags | libc::O_CLOEXEC, 0o666, &raw mut fd)
        };
        if status == 0 {
            // SAFETY: the engine has opened this descriptor for this call.
            return Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

impl File {
    /// Opens for reading.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`; `EINVAL` a NUL in the path; in a task `ECANCELED`, and `ETIMEDOUT` for a
    /// [`timeout`](fn@crate::time::timeout) around it.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        open(path.as_ref(), libc::O_RDONLY)
    }

    /// Opens for writing, empty; made if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        open(
            path.as_ref(),
            libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
        )
    }

    /// Takes over a file of the standard library.
    #[must_use]
    pub fn from_std(file: fs::File) -> Self {
        Self::from(OwnedFd::from(file))
    }

    /// Gives the file to the standard library.
    #[must_use]
    pub fn into_std(self) -> fs::File {
        fs::File::from(OwnedFd::from(self))
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        raw_io::read_handle(self.as_raw_fd(), buffer)
    }
}

impl Write for &File {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        raw_io::write_handle(self.as_raw_fd(), buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let (whence, offset) = match position {
            SeekFrom::Start(offset) => (
                libc::SEEK_SET,
                i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
            ),
            SeekFrom::Current(offset) => (libc::SEEK_CUR, offset),
            SeekFrom::End(offset) => (libc::SEEK_END, offset),
        };
        // SAFETY: takes numbers; the descriptor is this file's. It moves a number in the kernel and
        // does not wait.
        let moved = unsafe { libc::lseek(self.as_raw_fd(), offset, whence) };
        u64::try_from(moved).map_err(|_| io::Error::last_os_error())
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for File {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self {
            fd: ManuallyDrop::new(fd),
        }
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        let mut file = ManuallyDrop::new(file);
        // SAFETY: `file` is not dropped, so the descriptor is taken once.
        unsafe { ManuallyDrop::take(&mut file.fd) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this file's, and its own drop never runs. Errors of a close are
        // ignored, as by the standard library.
        unsafe { sys::llam_close_handle(self.fd.as_raw_fd()) };
    }
}
