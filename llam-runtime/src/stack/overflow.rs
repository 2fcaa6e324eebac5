//! What happens when a task runs into its stack's guard: one line on standard error, then
//! abort (E5). Every other fault goes to the handler that was there before.
//!
//! Handlers are installed with the first live runtime and removed with the last one. Each
//! worker thread has an alternate signal stack, because the faulting stack is full.

use std::io::Write;
use std::mem::MaybeUninit;
use std::ptr;

use parking_lot::Mutex;

use super::guard;
use crate::worker;

/// Room for an AVX-512 signal frame and for the report.
const ALTERNATE_STACK_BYTES: usize = 64 * 1024;
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

struct Installed {
    users: usize,
    previous: [MaybeUninit<libc::sigaction>; 2],
}

static INSTALLED: Mutex<Installed> = Mutex::new(Installed {
    users: 0,
    previous: [MaybeUninit::uninit(); 2],
});
/// Copies that the handler may read without the lock; written while no handler is installed.
static mut PREVIOUS: [MaybeUninit<libc::sigaction>; 2] = [MaybeUninit::uninit(); 2];

/// Keeps the handlers installed while it lives.
#[derive(Debug)]
pub(crate) struct Handlers(());

impl Handlers {
    pub(crate) fn install() -> Self {
        let mut installed = INSTALLED.lock();
        if installed.users == 0 {
            for (position, signal) in SIGNALS.into_iter().enumerate() {
                // SAFETY: a zeroed sigaction is valid, the handler has the right signature,
                // and `PREVIOUS` is read by nobody yet.
                unsafe {
                    let mut action: libc::sigaction = std::mem::zeroed();
                    action.sa_sigaction = on_fault as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                    let previous = installed.previous[position].as_mut_ptr();
                    libc::sigaction(signal, ptr::null(), previous);
                    (&raw mut PREVIOUS[position])
                        .cast::<libc::sigaction>()
                        .write(*previous);
                    libc::sigaction(signal, &action, ptr::null_mut());
                }
            }
        }
        installed.users += 1;
        Self(())
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        let mut installed = INSTALLED.lock();
        installed.users -= 1;
        if installed.users > 0 {
            return;
        }
        for (position, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: the previous action was stored when ours was installed. Somebody who
            // installed a handler after us keeps it.
            unsafe {
                let mut current: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, ptr::null(), &mut current);
                if current.sa_sigaction == on_fault as *const () as usize {
                    libc::sigaction(
                        signal,
                        installed.previous[position].as_ptr(),
                        ptr::null_mut(),
                    );
                }
            }
        }
    }
}

/// The calling thread's alternate signal stack, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct AlternateStack {
    memory: usize,
    previous: libc::stack_t,
}

impl AlternateStack {
    pub(crate) fn new() -> Option<Self> {
        let memory = guard::map(ALTERNATE_STACK_BYTES)?;
        // SAFETY: the memory was just mapped and stays until `drop` has taken it away.
        unsafe {
            let new = libc::stack_t {
                ss_sp: memory as *mut _,
                ss_flags: 0,
                ss_size: ALTERNATE_STACK_BYTES,
            };
            let mut previous: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(&new, &mut previous);
            Some(Self { memory, previous })
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: restores what `new` replaced on this thread, then unmaps unused memory.
        unsafe {
            libc::sigaltstack(&self.previous, ptr::null_mut());
            libc::munmap(self.memory as *mut _, ALTERNATE_STACK_BYTES);
        }
    }
}

/// A buffer for a line that is written with one system call and without allocation.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let count = text.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&text[..count]);
        self.len += count;
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

unsafe extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    if let Some(task) = worker::running_task()
        && task.stack_guards(address)
    {
        let mut line = Line {
            bytes: [0; 512],
            len: 0,
        };
        let _ = writeln!(
            line,
            "llam: {} overflowed its stack of {} KiB",
            task.describe(),
            task.stack_class().usable_bytes() / 1024
        );
        // SAFETY: writes initialised bytes; abort is async-signal-safe.
        unsafe {
            libc::write(2, line.bytes.as_ptr().cast(), line.len);
            libc::abort();
        }
    }
    // SAFETY: this is the handler that the kernel would have called without us.
    unsafe { pass_on(signal, info, context) };
}

/// Calls the previous handler; without one, restores the default and lets the fault repeat.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let position = usize::from(signal != libc::SIGSEGV);
    // SAFETY: written before this handler was installed, and not changed since.
    let previous = unsafe {
        (&raw const PREVIOUS[position])
            .cast::<libc::sigaction>()
            .read()
    };
    match previous.sa_sigaction {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            // SAFETY: restoring the default action is async-signal-safe.
            unsafe { libc::sigaction(signal, &previous, ptr::null_mut()) };
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: SA_SIGINFO says the handler has this signature.
            let handler: unsafe extern "C" fn(
                libc::c_int,
                *mut libc::siginfo_t,
                *mut libc::c_void,
            ) = unsafe { std::mem::transmute(handler) };
            // SAFETY: called with the kernel's own arguments.
            unsafe { handler(signal, info, context) };
        }
        handler => {
            // SAFETY: without SA_SIGINFO the handler takes the signal number alone.
            let handler: unsafe extern "C" fn(libc::c_int) =
                unsafe { std::mem::transmute(handler) };
            // SAFETY: as above.
            unsafe { handler(signal) };
        }
    }
}
