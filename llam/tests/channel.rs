//! `llam::channel`: bounded channels.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{Drops, SOON, alone, run, until, until_on_host};
use llam::channel::bounded;
use llam::{CancelToken, SpawnOptions};

#[test]
fn values_arrive_in_order_and_capacity_is_exact() {
    run(|| {
        let (tx, rx) = bounded(3)?;
        for i in 0..3 {
            tx.try_send(i)?;
        }
        let full = tx.try_send(9).unwrap_err();
        assert_eq!((full.value, full.error.errno()), (9, libc::EAGAIN));
        assert!(full.to_string().starts_with("sending failed"));
        for i in 0..3 {
            assert_eq!(rx.try_recv()?, i);
        }
        assert!(rx.try_recv().unwrap_err().is_would_block());
        assert!(rx.try_recv_option().unwrap_err().is_would_block());
        Ok(())
    });
}

#[test]
fn capacity_zero_is_invalid() {
    let _turn = alone();
    assert_eq!(bounded::<u8>(0).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(bounded::<u8>(usize::MAX).unwrap_err().errno(), libc::ENOMEM);
}

#[test]
fn every_kind_of_value_crosses() {
    run(|| {
        let (tx, rx) = bounded(4)?;
        llam::spawn(move || {
            for i in 0..100_u64 {
                tx.send((i, [i; 4], i.to_string())).unwrap();
            }
        });
        for i in 0..100 {
            assert_eq!(rx.recv()?, (i, [i; 4], i.to_string()));
        }
        let (tx, rx) = bounded(4)?;
        tx.send(())?;
        tx.send(())?;
        rx.recv()?;
        rx.recv()?;
        let (tx, rx) = bounded::<Option<u16>>(2)?;
        tx.send(None)?;
        tx.send(Some(0))?;
        assert_eq!((rx.recv()?, rx.recv()?), (None, Some(0)));
        let (tx, rx) = bounded::<Box<str>>(1)?;
        tx.send("boxed".into())?;
        assert_eq!(&*rx.recv()?, "boxed");
        Ok(())
    });
}

#[test]
fn timeouts_give_the_value_back() {
    run(|| {
        let (tx, rx) = bounded::<String>(1)?;
        assert!(
            rx.recv_timeout(Duration::from_millis(2))
                .unwrap_err()
                .is_timed_out()
        );
        assert!(
            rx.recv_timeout_option(Duration::ZERO)
                .unwrap_err()
                .is_timed_out()
        );
        tx.send_timeout("one".into(), Duration::ZERO)?;
        let back = tx
            .send_timeout("two".into(), Duration::from_millis(2))
            .unwrap_err();
        assert!(back.error.is_timed_out());
        assert_eq!(back.into_value(), "two");
        assert_eq!(rx.recv_timeout(SOON)?, "one");
        Ok(())
    });
}

#[test]
fn closing_ends_both_sides_after_the_buffer() {
    run(|| {
        let (tx, rx) = bounded(2)?;
        tx.send(1)?;
        tx.close()?;
        tx.close()?;
        let back = tx.send(2).unwrap_err();
        assert!(back.error.is_closed());
        assert_eq!(back.value, 2);
        assert!(tx.try_send(3).unwrap_err().error.is_closed());
        assert_eq!(rx.recv()?, 1);
        assert!(rx.recv().unwrap_err().is_closed());
        assert!(rx.try_recv().unwrap_err().is_closed());
        assert_eq!(rx.recv_option()?, None);
        assert_eq!(rx.try_recv_option()?, None);
        assert_eq!(rx.recv_timeout_option(SOON)?, None);
        Ok(())
    });
}

#[test]
fn the_last_sender_closes() {
    run(|| {
        let (tx, rx) = bounded(1)?;
        let other = tx.clone();
        drop(tx);
        other.send(1)?;
        assert_eq!(rx.recv()?, 1);
        let waiting = llam::spawn(move || rx.recv().map(|_: i32| ()).unwrap_err().is_closed());
        until("the receiver parks", || {
            waiting.state_name().as_deref() == Some("PARKED")
        });
        drop(other);
        assert!(waiting.join()?);
        Ok(())
    });
}

#[test]
fn the_last_receiver_closes_and_drops_what_is_buffered() {
    run(|| {
        let drops = Drops::default();
        let (tx, rx) = bounded(2)?;
        let other = rx.clone();
        tx.send(drops.token())?;
        tx.send(drops.token())?;
        let token = drops.token();
        let sender = llam::spawn(move || {
            let back = tx.send(token).unwrap_err();
            (back.error.errno(), back.value, tx)
        });
        until("the sender parks", || {
            sender.state_name().as_deref() == Some("PARKED")
        });
        drop(rx);
        assert_eq!(drops.count(), 0);
        drop(other);
        assert_eq!(drops.count(), 2);
        let (errno, value, tx) = sender.join()?;
        assert_eq!(errno, libc::EPIPE);
        drop(value);
        assert_eq!(drops.count(), 3);
        drop(tx);
        Ok(())
    });
}

#[test]
fn buffered_values_are_dropped_once_whoever_goes_last() {
    run(|| {
        for receiver_first in [true, false] {
            let drops = Drops::default();
            let (tx, rx) = bounded(4)?;
            for _ in 0..3 {
                tx.send((drops.token(), 0_u64))?;
            }
            drop(rx.recv()?);
            assert_eq!(drops.count(), 1);
            if receiver_first {
                drop(rx);
                drop(tx);
            } else {
                drop(tx);
                drop(rx);
            }
            assert_eq!(drops.count(), 3);
        }
        Ok(())
    });
}

#[test]
fn values_left_at_the_end_of_a_run_are_dropped_by_the_host() {
    if !common::needs_abi_2("a host thread drains a channel") {
        return;
    }
    let _turn = alone();
    let drops = Drops::default();
    let (tx, rx) = bounded(2).unwrap();
    let token = drops.token();
    let other = drops.token();
    llam::test(move || {
        tx.send(token)?;
        tx.send(other)?;
        Ok(())
    })
    .unwrap();
    drop(rx.try_recv().unwrap());
    assert_eq!(drops.count(), 1);
    drop(rx);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_cancelled_send_and_receive_change_nothing() {
    run(|| {
        let token = CancelToken::new()?;
        token.cancel()?;
        let options = SpawnOptions::new().cancel(token);
        llam::task::spawn_with(options, || {
            let (tx, rx) = bounded(1).unwrap();
            // What can be done at once is done.
            tx.send(1).unwrap();
            let back = tx.send(2).unwrap_err();
            assert!(back.error.is_cancelled());
            assert_eq!((back.value, rx.recv().unwrap()), (2, 1));
            assert!(rx.recv().unwrap_err().is_cancelled());
        })
        .join()?;
        Ok(())
    });
}

#[test]
fn host_threads_can_try() {
    let _turn = alone();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    if llam::sys::ext::ABI_MAJOR == 1 {
        assert_eq!(tx.try_send(1).unwrap_err().error.errno(), libc::ENOTSUP);
        assert_eq!(rx.try_recv().unwrap_err().errno(), libc::ENOTSUP);
        return;
    }
    let (back_tx, back_rx) = bounded::<u32>(4).unwrap();
    let host = std::thread::spawn(move || {
        let error = tx.send(1).unwrap_err().error;
        assert_eq!(error.errno(), libc::ENOTSUP);
        assert_eq!(back_rx.recv().unwrap_err().errno(), libc::ENOTSUP);
        until_on_host("the runtime takes a value", || tx.try_send(7).is_ok());
        until_on_host("an answer comes", || match back_rx.try_recv() {
            Ok(value) => {
                assert_eq!(value, 8);
                true
            }
            Err(_) => false,
        });
    });
    llam::test(move || {
        let value = rx.recv_timeout(SOON)?;
        back_tx.send(value + 1)?;
        Ok(())
    })
    .unwrap();
    host.join().unwrap();
}

#[test]
fn receivers_share_and_each_value_arrives_once() {
    run(|| {
        let (tx, rx) = bounded(8)?;
        let mut readers = llam::TaskBatch::new();
        for _ in 0..4 {
            let rx = rx.clone();
            readers.spawn(move || rx.iter().collect::<Vec<u32>>())?;
        }
        drop(rx);
        let mut writers = llam::TaskBatch::new();
        for part in 0..4 {
            let tx = tx.clone();
            writers.spawn(move || {
                for i in 0..250 {
                    tx.send(part * 250 + i).unwrap();
                }
            })?;
        }
        drop(tx);
        writers.join()?;
        let all: Vec<u32> = readers.join()?.into_iter().flatten().collect();
        assert_eq!(all.len(), 1_000);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1_000);
        Ok(())
    });
}

#[test]
fn borrowed_values_cross_inside_a_scope() {
    run(|| {
        let words = ["a".to_owned(), "b".to_owned()];
        let (tx, rx) = bounded::<&str>(1)?;
        let joined = llam::scope(|s| {
            let words = &words;
            s.spawn(move || {
                for word in words {
                    tx.send(word).unwrap();
                }
            });
            rx.iter().collect::<String>()
        });
        assert_eq!(joined, "ab");
        Ok(())
    });
}
