//! `select!`, `try_select!`, `Select`, `select_raw`.

mod common;

use std::time::{Duration, Instant};

use common::{Drops, SOON, alone, quiet_panics, run, until};
use llam::channel::{Receiver, Select, bounded, select_raw};
use llam::{CancelToken, SpawnOptions, select, try_select};

#[test]
fn recv_takes_the_value() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        let (_other_tx, other) = bounded::<u8>(1)?;
        tx.send(5)?;
        let value = select! {
            recv(other) -> _ => 0,
            recv(rx) -> got => got.unwrap(),
        };
        assert_eq!(value, 5);
        Ok(())
    });
}

#[test]
fn recv_waits_for_a_value() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        llam::spawn(move || {
            llam::time::sleep(Duration::from_millis(2)).unwrap();
            tx.send("late").unwrap();
        });
        let value = select! {
            recv(rx) -> got => got?,
            after(SOON) => "never",
        };
        assert_eq!(value, "late");
        Ok(())
    });
}

#[test]
fn the_lowest_ready_arm_wins() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        let (tx2, rx2) = bounded(1)?;
        for _ in 0..20 {
            tx.send(1)?;
            tx2.send(2)?;
            let first = select! {
                recv(rx) -> got => got?,
                recv(rx2) -> got => got?,
            };
            assert_eq!((first, rx2.recv()?), (1, 2));
        }
        Ok(())
    });
}

#[test]
fn send_hands_the_value_over_or_drops_it() {
    run(|| {
        let drops = Drops::default();
        let (tx, rx) = bounded(1)?;
        let sent = select! {
            send(tx, drops.token()) => true,
            default => false,
        };
        assert!(sent);
        let sent = select! {
            send(tx, drops.token()) => true,
            default => {
                // The value that was not sent is gone before the arm runs.
                assert_eq!(drops.count(), 1);
                false
            }
        };
        assert!(!sent);
        drop(rx.recv()?);
        assert_eq!(drops.count(), 2);
        Ok(())
    });
}

#[test]
fn a_send_into_a_closed_channel_is_an_error_and_drops_the_value() {
    run(|| {
        let drops = Drops::default();
        let (tx, rx) = bounded(1)?;
        drop(rx);
        let result = try_select! { send(tx, drops.token()) => () };
        assert!(result.unwrap_err().is_closed());
        assert_eq!(drops.count(), 1);
        let result = Select::new().send(&tx, drops.token(), || ()).try_run();
        assert!(result.unwrap_err().is_closed());
        assert_eq!(drops.count(), 2);
        Ok(())
    });
}

#[test]
fn closed_has_its_own_arm() {
    run(|| {
        let (tx, rx) = bounded::<u8>(1)?;
        tx.send(1)?;
        drop(tx);
        let mut seen = Vec::new();
        loop {
            select! {
                closed(rx) => break,
                recv(rx) -> got => seen.push(got?),
            }
        }
        assert_eq!(seen, [1]);
        // Without it the receive says EPIPE.
        let error = select! { recv(rx) -> got => got.unwrap_err() };
        assert!(error.is_closed());
        Ok(())
    });
}

#[test]
fn after_ends_the_wait() {
    run(|| {
        let (_tx, rx) = bounded::<u8>(1)?;
        let start = Instant::now();
        let late = select! {
            recv(rx) -> _ => false,
            after(Duration::from_millis(5)) => true,
        };
        assert!(late && start.elapsed() >= Duration::from_millis(5));
        // Without a channel it is a sleep.
        assert!(select! { after(Duration::from_millis(1)) => true });
        assert_eq!(select! { default => 3 }, 3);
        Ok(())
    });
}

#[test]
fn arms_are_part_of_the_function() {
    fn first(rx: &Receiver<u8>) -> llam::Result<u8> {
        loop {
            let value = select! {
                recv(rx) -> got => got?,
                default => continue,
            };
            if value == 0 {
                return try_select! { recv(rx) -> got => return got };
            }
        }
    }
    run(|| {
        let (tx, rx) = bounded(4)?;
        for value in [3, 2, 0, 9] {
            tx.send(value)?;
        }
        assert_eq!(first(&rx)?, 9);
        drop(tx);
        assert!(first(&rx).unwrap_err().is_closed());
        Ok(())
    });
}

#[test]
fn patterns_and_expressions_of_any_kind() {
    struct Holder {
        rx: Receiver<(u8, u8)>,
    }
    run(|| {
        let (tx, rx) = bounded(2)?;
        let holder = Holder { rx };
        tx.send((1, 2))?;
        tx.send((3, 4))?;
        let sum = select! { recv(holder.rx) -> got => { let (a, b) = got?; a + b } };
        assert_eq!(sum, 3);
        let borrowed = &&holder.rx;
        let sum = select! { recv(*borrowed) -> got => got.map(|(a, b)| a * b)? };
        assert_eq!(sum, 12);
        tx.clone().send((5, 6))?;
        let pair = select! { recv(holder.rx.clone()) -> got => got? };
        assert_eq!(pair, (5, 6));
        Ok(())
    });
}

#[test]
fn errors_of_the_select() {
    quiet_panics();
    run(|| {
        let token = CancelToken::new()?;
        token.cancel()?;
        let options = SpawnOptions::new().cancel(token);
        let error = llam::task::spawn_with(options, || {
            let (_tx, rx) = bounded::<u8>(1).unwrap();
            try_select! { recv(rx) -> _ => () }.unwrap_err()
        })
        .join()?;
        assert!(error.is_cancelled());
        let (_tx, rx) = bounded::<u8>(1)?;
        let limited = llam::time::with_deadline(llam::time::now_ns(), || {
            try_select! { recv(rx) -> _ => (), after(SOON) => () }
        })?;
        assert!(limited.unwrap_err().is_timed_out());
        Ok(())
    });
    let _turn = alone();
    let (_tx, rx) = bounded::<u8>(1).unwrap();
    let error = try_select! { recv(rx) -> _ => () }.unwrap_err();
    assert_eq!(error.errno(), libc::ENOTSUP);
}

#[test]
fn select_as_a_value_does_the_same() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        let pick = |rx: &Receiver<u8>| {
            Select::new()
                .recv(rx, |got| got.map_or(-1, i32::from))
                .closed(rx, || -2)
                .after(Duration::from_millis(2), || -3)
                .run()
        };
        assert_eq!(pick(&rx), -3);
        tx.send(7)?;
        assert_eq!(pick(&rx), 7);
        drop(tx);
        assert_eq!(pick(&rx), -2);
        let error = Select::new().recv(&rx, |got| got.unwrap_err()).run();
        assert!(error.is_closed());
        Ok(())
    });
}

#[test]
fn select_as_a_value_sends() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        let send = |value| {
            Select::new()
                .send(&tx, value, || true)
                .default(|| false)
                .run()
        };
        assert!(send(1) && !send(2));
        assert_eq!(rx.recv()?, 1);
        Ok(())
    });
}

#[test]
fn select_as_a_value_refuses_contradictions() {
    run(|| {
        let (_tx, rx) = bounded::<u8>(1)?;
        let both = Select::new()
            .recv(&rx, |_| ())
            .after(SOON, || ())
            .default(|| ());
        assert_eq!(both.try_run().unwrap_err().errno(), libc::EINVAL);
        let lonely = Select::new().closed(&rx, || ()).default(|| ());
        assert_eq!(lonely.try_run().unwrap_err().errno(), libc::EINVAL);
        let empty: Select<'_, ()> = Select::new();
        assert_eq!(empty.try_run().unwrap_err().errno(), libc::EINVAL);
        Ok(())
    });
}

#[test]
fn a_parked_select_is_woken_by_whichever_comes() {
    run(|| {
        let (tx, rx) = bounded::<u8>(1)?;
        let (out_tx, out_rx) = bounded::<u8>(1)?;
        out_tx.send(0)?;
        let inner = out_tx.clone();
        let task = llam::spawn(move || {
            select! {
                recv(rx) -> _ => "received",
                send(inner, 1) => "sent",
            }
        });
        until("the select parks", || {
            task.state_name().as_deref() == Some("PARKED")
        });
        assert_eq!(out_rx.recv()?, 0);
        assert_eq!(task.join()?, "sent");
        assert_eq!(out_rx.recv()?, 1);
        drop(tx);
        Ok(())
    });
}

#[test]
fn raw_select() {
    run(|| {
        // SAFETY: takes a number.
        let channel = unsafe { llam::sys::llam_channel_create(1) };
        let mut word = std::ptr::null_mut();
        let mut ops = [llam::sys::llam_select_op_t {
            kind: llam::sys::LLAM_SELECT_OP_RECV,
            reserved0: 0,
            channel,
            send_value: std::ptr::null_mut(),
            recv_out: &raw mut word,
            result_errno: 0,
        }];
        // SAFETY: `word` is valid to write.
        let error = unsafe { select_raw(&mut ops, 0) }.unwrap_err();
        assert!(error.is_timed_out());
        // SAFETY: the handle is live.
        unsafe {
            llam::sys::llam_channel_close(channel);
        }
        // SAFETY: `word` is valid to write.
        let done = unsafe { select_raw(&mut ops, u64::MAX) }?;
        assert_eq!((done.selected, done.result_errno), (0, libc::EPIPE));
        // SAFETY: the handle is live and unused.
        assert_eq!(unsafe { llam::sys::llam_channel_destroy(channel) }, 0);
        Ok(())
    });
}
