//! `llam::time`: the clock, sleeping, timeouts, intervals.

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::{SOON, alone, run, until};
use llam::time;
use llam::{CancelToken, SpawnOptions};

#[test]
fn the_clock_goes_on_and_deadlines_saturate() {
    let before = time::now_ns();
    let ahead = time::deadline_after(Duration::from_secs(1));
    assert!(ahead >= before + 1_000_000_000);
    assert_eq!(time::deadline_after(Duration::MAX), u64::MAX);
    assert!(time::now_ns() >= before);
}

#[test]
fn sleep_is_never_early() {
    run(|| {
        let start = Instant::now();
        time::sleep(Duration::from_millis(5))?;
        assert!(start.elapsed() >= Duration::from_millis(5));
        time::sleep(Duration::ZERO)?;
        time::sleep_until(0)?;
        let end = time::deadline_after(Duration::from_millis(2));
        time::sleep_until(end)?;
        assert!(time::now_ns() >= end);
        Ok(())
    });
}

#[test]
fn a_cancelled_sleep_says_so() {
    run(|| {
        let token = CancelToken::new()?;
        let sleeper = llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), || {
            time::sleep(Duration::MAX)
        });
        until("the sleeper parks", || {
            sleeper.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert!(sleeper.join()?.unwrap_err().is_cancelled());
        Ok(())
    });
}

#[test]
fn a_host_thread_sleeps_while_the_runtime_is_live() {
    let _turn = alone();
    let error = time::sleep(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.errno(), libc::EINVAL);
    let runtime = llam::Runtime::init().unwrap();
    let start = Instant::now();
    time::sleep(Duration::from_millis(2)).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(2));
    drop(runtime);
}

#[test]
fn timeout_ends_every_kind_of_wait() {
    run(|| {
        let short = Duration::from_millis(3);
        let (tx, rx) = llam::channel::bounded::<u8>(1)?;
        tx.send(0)?;
        let (_tx2, empty) = llam::channel::bounded::<u8>(1)?;
        let mutex = std::sync::Arc::new(llam::sync::Mutex::new(())?);
        let condvar = llam::sync::Condvar::new()?;
        let own = llam::sync::Mutex::new(())?;
        let other = std::sync::Arc::clone(&mutex);
        let (held_tx, held_rx) = llam::channel::bounded(1)?;
        let (free_tx, free_rx) = llam::channel::bounded::<()>(1)?;
        let holder = llam::spawn(move || {
            let _guard = other.lock().unwrap();
            held_tx.send(()).unwrap();
            let _ = free_rx.recv();
        });
        held_rx.recv()?;
        let listener = llam::net::TcpListener::bind("127.0.0.1:0")?;
        let stream = llam::net::TcpStream::connect(listener.local_addr()?)?;
        let ticker = time::interval(SOON)?;
        let notify = llam::sync::Notify::new();
        let silent = llam::net::TcpListener::bind("127.0.0.1:0")?;
        let udp = llam::net::UdpSocket::bind("127.0.0.1:0")?;
        let waits: [(&str, &mut dyn FnMut() -> Option<i32>); 12] = [
            ("sleep", &mut || time::sleep(SOON).err().map(|e| e.errno())),
            ("recv", &mut || empty.recv().err().map(|e| e.errno())),
            ("send", &mut || tx.send(1).err().map(|e| e.error.errno())),
            ("select", &mut || {
                let result = llam::try_select! { recv(empty) -> _ => () };
                result.err().map(|e| e.errno())
            }),
            ("lock", &mut || mutex.lock().err().map(|e| e.errno())),
            ("condition", &mut || {
                condvar.wait(own.lock().unwrap()).err().map(|e| e.errno())
            }),
            ("accept", &mut || {
                silent.accept().err().and_then(|e| e.raw_os_error())
            }),
            ("receive", &mut || {
                udp.recv_from(&mut [0]).err().and_then(|e| e.raw_os_error())
            }),
            ("read", &mut || {
                (&stream)
                    .read(&mut [0])
                    .err()
                    .and_then(|e| e.raw_os_error())
            }),
            ("tick", &mut || ticker.tick().err().map(|e| e.errno())),
            ("notify", &mut || notify.wait().err().map(|e| e.errno())),
            ("nested", &mut || {
                let inner = time::timeout(SOON, || time::sleep(SOON));
                match inner {
                    Ok(slept) => slept.err().map(|e| e.errno()),
                    Err(error) => Some(error.errno()),
                }
            }),
        ];
        for (name, wait) in waits {
            let start = Instant::now();
            let mut errno = None;
            let outcome = time::timeout(short, || errno = wait());
            assert!(outcome.unwrap_err().is_timed_out(), "{name}");
            assert_eq!(errno, Some(libc::ETIMEDOUT), "{name}");
            assert!(start.elapsed() < SOON, "{name}");
        }
        // Afterwards there is no limit any more.
        assert_eq!(rx.recv()?, 0);
        drop(free_tx);
        holder.join()?;
        time::sleep(Duration::from_millis(4))?;
        Ok(())
    });
}

#[test]
fn timeout_ends_a_join() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let task = llam::spawn(move || rx.recv());
        let mut task = Some(task);
        let outcome = time::with_deadline(time::deadline_after(Duration::from_millis(2)), || {
            let mut handle = task.take().unwrap();
            let error = handle.join_until(u64::MAX).unwrap_err();
            assert!(error.is_timed_out());
            handle
        })?;
        tx.send(())?;
        outcome.join()??;
        Ok(())
    });
}

#[test]
fn timeout_leaves_what_completes_at_once_alone() {
    run(|| {
        let (tx, rx) = llam::channel::bounded(1)?;
        let value = time::with_deadline(0, || {
            tx.send(4).unwrap();
            rx.recv().unwrap()
        })?;
        assert_eq!(value, 4);
        assert_eq!(time::timeout(SOON, || 5)?, 5);
        Ok(())
    });
}

#[test]
fn the_earliest_of_nested_timeouts_counts() {
    run(|| {
        let start = Instant::now();
        let inner = time::with_deadline(time::deadline_after(Duration::from_millis(3)), || {
            time::timeout(SOON, || time::sleep(SOON).unwrap_err().errno())
        })?;
        assert_eq!(inner?, libc::ETIMEDOUT);
        assert!(start.elapsed() < SOON);
        time::timeout(SOON, || {
            let inner = time::timeout(Duration::from_millis(2), || time::sleep(SOON));
            assert!(inner.unwrap_err().is_timed_out());
            // The outer limit is in force again, and far away.
            time::sleep(Duration::from_millis(1))
        })?
    });
}

#[test]
fn timeout_is_put_back_after_a_panic() {
    common::quiet_panics();
    run(|| {
        let caught = std::panic::catch_unwind(|| {
            let _ = time::timeout(Duration::from_millis(1), || panic!("expected: inside"));
        });
        assert!(caught.is_err());
        time::sleep(Duration::from_millis(3))
    });
}

#[test]
fn timeout_does_not_reach_spawned_tasks() {
    run(|| {
        let child =
            time::with_deadline(0, || llam::spawn(|| time::sleep(Duration::from_millis(2))))?;
        child.join()??;
        Ok(())
    });
}

#[test]
fn timeout_outside_a_task_is_not_supported() {
    let _turn = alone();
    let mut called = false;
    let error = time::timeout(SOON, || called = true).unwrap_err();
    assert_eq!(error.errno(), libc::ENOTSUP);
    assert!(!called);
}

#[test]
fn interval_counts_ticks() {
    run(|| {
        let start = Instant::now();
        let ticker = time::interval(Duration::from_millis(2))?;
        let mut ticks = 0;
        while ticks < 3 {
            ticks += ticker.tick()?;
        }
        assert!(start.elapsed() >= Duration::from_millis(6));
        time::sleep(Duration::from_millis(7))?;
        assert!(ticker.tick()? >= 3);
        Ok(())
    });
}

#[test]
fn interval_cancel_reset_and_errors() {
    run(|| {
        assert_eq!(
            time::interval(Duration::ZERO).unwrap_err().errno(),
            libc::EINVAL
        );
        let ticker = time::interval(SOON)?;
        let late = ticker.tick_timeout(Duration::from_millis(2));
        assert!(late.unwrap_err().is_timed_out());
        ticker.cancel()?;
        assert!(ticker.tick().unwrap_err().is_cancelled());
        ticker.reset(Duration::from_millis(1))?;
        assert!(ticker.tick()? >= 1);
        assert_eq!(
            ticker.reset(Duration::ZERO).unwrap_err().errno(),
            libc::EINVAL
        );
        Ok(())
    });
}
