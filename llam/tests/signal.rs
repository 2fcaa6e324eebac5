//! `llam::signal`. Without the test harness: the signals have to be blocked in every thread, so the
//! sets are made by `main` before any other thread exists.

mod common;

#[cfg(target_os = "linux")]
fn main() {
    use llam::signal::{Signal, SignalSet};
    use std::time::Duration;

    // The listing of tests is asked for by tools.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let hangups = SignalSet::new(&[Signal::HANGUP, Signal::USER_1]).unwrap();
    let interrupts = SignalSet::new(&[Signal::INTERRUPT]).unwrap();
    let users = SignalSet::new(&[Signal::USER_2]).unwrap();

    let busy = SignalSet::new(&[Signal::TERMINATE, Signal::HANGUP]).unwrap_err();
    assert_eq!(busy.errno(), libc::EBUSY);
    for bad in [
        &[][..],
        &[Signal::from_raw(libc::SIGKILL)],
        &[Signal::USER_2, Signal::USER_2],
    ] {
        assert_eq!(SignalSet::new(bad).unwrap_err().errno(), libc::EINVAL);
    }

    common::run(move || {
        let raise = |signal: Signal| {
            // SAFETY: sends a signal to this process, where every thread blocks it.
            assert_eq!(unsafe { libc::kill(libc::getpid(), signal.to_raw()) }, 0);
        };
        // Before the wait, and during it.
        raise(Signal::HANGUP);
        assert_eq!(hangups.wait_timeout(common::SOON)?, Signal::HANGUP);
        let waiter = llam::spawn(move || {
            let signal = hangups.wait();
            (signal, hangups)
        });
        common::until("the waiter parks", || {
            waiter.state_name().as_deref() == Some("PARKED")
        });
        raise(Signal::USER_1);
        let (signal, hangups) = waiter.join()?;
        assert_eq!(signal?, Signal::USER_1);

        let late = hangups.wait_timeout(Duration::from_millis(5)).unwrap_err();
        assert!(late.is_timed_out());

        let token = llam::CancelToken::new()?;
        let options = llam::SpawnOptions::new().cancel(token.clone());
        let waiter = llam::task::spawn_with(options, move || hangups.wait().unwrap_err());
        common::until("the waiter parks", || {
            waiter.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert!(waiter.join()?.is_cancelled());

        // The short forms subscribe themselves; the sets made above keep the signals blocked in the
        // threads that exist.
        drop(interrupts);
        drop(users);
        for thread in 0..2 {
            // One of the two waits at a time, so that each finds its signal free.
            let waiter = llam::spawn(move || {
                if thread == 0 {
                    llam::signal::ctrl_c().map(|()| Signal::INTERRUPT)
                } else {
                    llam::signal::wait_for(&[Signal::USER_2])
                }
            });
            common::until("the waiter parks", || {
                waiter.state_name().as_deref() == Some("PARKED")
            });
            // SAFETY: the thread that dropped the sets unblocked them for itself alone; block them
            // here again before a signal is sent to the process.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGINT);
                libc::sigaddset(&raw mut set, libc::SIGUSR2);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            }
            let signal = if thread == 0 {
                Signal::INTERRUPT
            } else {
                Signal::USER_2
            };
            raise(signal);
            assert_eq!(waiter.join()??, signal);
        }
        Ok(())
    });
    println!("signals: ok");
}

#[cfg(not(target_os = "linux"))]
fn main() {
    let error = llam::signal::wait_for(&[]).unwrap_err();
    assert!(matches!(error.errno(), libc::ENOTSUP | libc::EINVAL));
}
