//! Engine invariants E3 (memory lent to the kernel) and E8 (nobody starves), each by a test that
//! fails when the engine breaks it.
//!
//! "Broken" in a comment tells how the invariant was broken on purpose and what the test said.

mod common;
mod support_child;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{alone, run};
use llam::{SpawnOptions, TaskClass};
use support_child::{LIMIT, Random, child, finish, is_child, seed};

/// What a buffer holds before anything is read into it.
const UNTOUCHED: u8 = 0xa5;

/// Gives the kernel and the driver every chance to complete something that was left behind.
fn let_the_driver_work() {
    for _ in 0..3 {
        llam::time::sleep(Duration::from_micros(200)).unwrap();
    }
}

fn assert_untouched(buffer: &[u8]) {
    let buffer = std::hint::black_box(buffer);
    assert!(
        buffer.iter().all(|byte| *byte == UNTOUCHED),
        "the kernel wrote after the call had returned: {buffer:?}"
    );
}

// Broken: `ring::perform` returned the errno of the reason without `give_up`, its operation leaked
// so that the completion had a place to go: "the kernel wrote after the call had returned". The
// readiness backend lends the kernel nothing over a park, so only `uring` can break this.
#[test]
fn e3_a_read_that_ended_early_leaves_its_buffer_and_the_data_alone() {
    run(|| {
        println!("| backend {}", llam::sys::ext::io_backend());
        for round in 0..50_u8 {
            // Blocking sockets: the completion backend performs operations on these itself.
            let (own, mut peer) = UnixStream::pair()?;
            let fd = own.as_raw_fd();
            let mut lent = Box::new([UNTOUCHED; 256]);
            if round % 2 == 0 {
                let end = llam::time::deadline_after(Duration::from_micros(500));
                let read = llam::time::with_deadline(end, || llam::io::read(fd, &mut lent[..]))?;
                assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::ETIMEDOUT));
            } else {
                let scope = llam::CancelScope::new()?;
                let reader = scope.spawn(move || {
                    let read = llam::io::read(fd, &mut lent[..]);
                    assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
                    lent
                });
                llam::time::sleep(Duration::from_micros(300))?;
                scope.cancel()?;
                lent = reader.join()?;
            }
            peer.write_all(&[round; 200])?;
            let_the_driver_work();
            assert_untouched(&lent[..]);
            let mut fresh = [UNTOUCHED; 256];
            let count = llam::time::timeout(common::SOON, || llam::io::read(fd, &mut fresh))??;
            assert_eq!(&fresh[..count], [round; 200], "the data is still there");
        }
        Ok(())
    });
}

// Broken: as above: "byte 504 of the stream", left 249, right 248: one byte had gone into the buffer of
// a call that was over.
#[test]
fn e3_no_byte_is_lost_when_deadlines_race_with_data() {
    const BYTES: usize = 20_000;
    let seed = seed();
    run(move || {
        let (own, mut peer) = UnixStream::pair()?;
        let mut pace = Random::new(seed);
        let writer = std::thread::spawn(move || {
            for number in 0..BYTES {
                if number % 8 == 0 {
                    pace.spin_up_to(60_000);
                }
                peer.write_all(&[number as u8]).unwrap();
            }
        });
        let mut random = Random::new(!seed);
        let (mut got, mut timeouts) = (0, 0);
        let mut buffer = [UNTOUCHED; 16];
        while got < BYTES {
            buffer.fill(UNTOUCHED);
            let end = llam::time::deadline_after(Duration::from_nanos(random.below(60_000)));
            let read =
                llam::time::with_deadline(end, || llam::io::read(own.as_raw_fd(), &mut buffer))?;
            let count = match read {
                Ok(count) => count,
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
                    timeouts += 1;
                    0
                }
            };
            for byte in &buffer[..count] {
                assert_eq!(*byte, got as u8, "byte {got} of the stream");
                got += 1;
            }
            assert_untouched(&buffer[count..]);
        }
        println!("| e3: {timeouts} deadlines won");
        writer.join().unwrap();
        Ok(())
    });
}

/// What keeps the one worker busy.
#[derive(Clone, Copy, Debug)]
enum Hog {
    /// Two tasks that yield and do nothing else.
    Yields(TaskClass),
    /// Two tasks that wake each other over channels.
    Channels(TaskClass),
    /// A task whose channel is always ready, so that it never has to park.
    ReadyChannel,
    /// A task whose socket is always ready.
    ReadySocket,
    /// Two tasks that wake each other over sockets.
    Sockets,
    /// Tasks that spawn tasks.
    Spawns,
    /// Two tasks that compute for some milliseconds between two yields.
    Computes,
}

/// Runs until told to stop, at most until `end`.
#[derive(Clone)]
struct Busy {
    stop: Arc<AtomicBool>,
    end: Instant,
}

impl Busy {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && Instant::now() < self.end
    }
}

fn yield_all_the_time(busy: &Busy) {
    while busy.goes_on() {
        llam::task::yield_now();
    }
}

fn compute_between_yields(busy: &Busy) {
    while busy.goes_on() {
        let end = Instant::now() + Duration::from_millis(4);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        llam::task::yield_now();
    }
}

fn play_channel_ping_pong(busy: &Busy, class: TaskClass) -> llam::JoinHandle<()> {
    let options = SpawnOptions::new().class(class);
    let (tx, rx) = llam::channel::bounded::<u8>(1).unwrap();
    let (back, answers) = llam::channel::bounded::<u8>(1).unwrap();
    llam::spawn_with(options.clone(), move || {
        for ball in &rx {
            back.send(ball).unwrap();
        }
    });
    let busy = busy.clone();
    llam::spawn_with(options, move || {
        while busy.goes_on() {
            tx.send(1).unwrap();
            answers.recv().unwrap();
        }
    })
}

fn play_socket_ping_pong(busy: &Busy) -> llam::JoinHandle<()> {
    let (one, other) = llam::net::UnixStream::pair().unwrap();
    llam::spawn(move || std::io::copy(&mut &other, &mut &other).unwrap());
    let busy = busy.clone();
    llam::spawn(move || {
        while busy.goes_on() {
            (&one).write_all(b"x").unwrap();
            (&one).read_exact(&mut [0]).unwrap();
        }
    })
}

fn feed_own_channel(busy: &Busy) {
    let (tx, rx) = llam::channel::bounded::<u8>(4).unwrap();
    while busy.goes_on() {
        tx.send(1).unwrap();
        rx.recv().unwrap();
    }
}

fn feed_own_socket(busy: &Busy) {
    let (one, other) = llam::net::UnixStream::pair().unwrap();
    while busy.goes_on() {
        (&one).write_all(b"x").unwrap();
        (&other).read_exact(&mut [0]).unwrap();
    }
}

fn spawn_on_and_on(busy: Busy) -> llam::JoinHandle<()> {
    llam::spawn(move || {
        if busy.goes_on() {
            drop(spawn_on_and_on(busy));
        }
    })
}

fn start(hog: Hog, busy: &Busy) -> Vec<llam::JoinHandle<()>> {
    let one = |work: fn(&Busy), class| {
        let busy = busy.clone();
        llam::spawn_with(SpawnOptions::new().class(class), move || work(&busy))
    };
    match hog {
        Hog::Yields(class) => vec![
            one(yield_all_the_time, class),
            one(yield_all_the_time, class),
        ],
        Hog::Channels(class) => vec![play_channel_ping_pong(busy, class)],
        Hog::ReadyChannel => vec![one(feed_own_channel, TaskClass::Default)],
        Hog::ReadySocket => vec![one(feed_own_socket, TaskClass::Default)],
        Hog::Sockets => vec![play_socket_ping_pong(busy), play_socket_ping_pong(busy)],
        Hog::Spawns => vec![spawn_on_and_on(busy.clone()), spawn_on_and_on(busy.clone())],
        Hog::Computes => vec![
            one(compute_between_yields, TaskClass::Default),
            one(compute_between_yields, TaskClass::Default),
        ],
    }
}

/// Rounds that each of those who must not starve has to make.
const ROUNDS: u32 = 20;

/// Woken by a timer.
fn sleep_now_and_then() {
    for _ in 0..ROUNDS {
        llam::time::sleep(Duration::from_micros(500)).unwrap();
    }
}

/// Woken by I/O whose other side is not on this worker.
fn talk_to_a_thread() {
    let (own, mut peer) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        let mut byte = [0];
        while peer.read(&mut byte).unwrap() > 0 {
            peer.write_all(&byte).unwrap();
        }
    });
    let own = llam::net::UnixStream::from_std(own).unwrap();
    for round in 0..ROUNDS {
        (&own).write_all(&[round as u8]).unwrap();
        let mut byte = [0];
        (&own).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [round as u8]);
    }
    drop(own);
    llam::blocking::call(|| thread.join().unwrap())
        .unwrap()
        .unwrap();
}

/// Woken from a host thread.
fn hear_from_a_thread() {
    // There a host thread can send nothing.
    if llam::sys::ext::ABI_MAJOR == 1 {
        return;
    }
    let (tx, rx) = llam::channel::bounded::<u32>(1).unwrap();
    let thread = std::thread::spawn(move || {
        let end = Instant::now() + LIMIT;
        for round in 0..ROUNDS {
            while tx.try_send(round).is_err() {
                assert!(Instant::now() < end, "nobody receives");
                std::thread::yield_now();
            }
        }
    });
    for round in 0..ROUNDS {
        assert_eq!(rx.recv().unwrap(), round);
    }
    llam::blocking::call(|| thread.join().unwrap())
        .unwrap()
        .unwrap();
}

/// Woken by tasks of the same worker.
fn talk_to_tasks() {
    let (tx, rx) = llam::channel::bounded::<u32>(1).unwrap();
    let echo = llam::spawn(move || rx.iter().sum::<u32>());
    for _ in 0..ROUNDS {
        tx.send(1).unwrap();
        llam::task::yield_now();
        llam::spawn(|| ()).join().unwrap();
    }
    drop(tx);
    assert_eq!(echo.join().unwrap(), ROUNDS);
}

/// Starts the hogs and sees to it that everybody else gets along.
fn nobody_starves_beside(hog: Hog) {
    const PATIENCE: Duration = Duration::from_secs(4);
    let busy = Busy {
        stop: Arc::default(),
        end: Instant::now() + PATIENCE,
    };
    let hogs = start(hog, &busy);
    let began = Instant::now();
    let others: [(&str, fn()); 4] = [
        ("a timer", sleep_now_and_then),
        ("I/O", talk_to_a_thread),
        ("a host thread", hear_from_a_thread),
        ("other tasks", talk_to_tasks),
    ];
    let others = others.map(|(what, work)| {
        let task = llam::spawn(move || {
            work();
            began.elapsed()
        });
        (what, task)
    });
    for (what, task) in others {
        let took = task.join().unwrap();
        println!("| e8: beside {hog:?}: woken by {what}: {took:?}");
        assert!(took < PATIENCE, "{hog:?} starves tasks woken by {what}");
    }
    busy.stop.store(true, Ordering::Relaxed);
    for hog in hogs {
        hog.join().unwrap();
    }
}

/// Makes a child test of one hog, and the name to call it by.
macro_rules! beside {
    ($($test:ident $child:ident $hog:expr;)*) => {$(
        #[test]
        #[ignore = "a child of the test of the same name"]
        fn $child() {
            if is_child() {
                let _guard = alone();
                llam::run(|| {
                    nobody_starves_beside($hog);
                    Ok(())
                })
                .unwrap();
            }
        }

        #[test]
        fn $test() {
            let mut command = child(stringify!($child));
            command.env("LLAM_WORKERS", "1");
            finish(command, LIMIT).expect_success();
        }
    )*};
}

// Broken (1): `ROUND` was `u32::MAX`: yielding tasks, channel pairs and spawning tasks starved "tasks
// woken by a timer".
// Broken (2): `budget_point` never looked around: the ever ready channel and socket starved everybody.
// Broken (3): a LATENCY task that yielded went to the front of a short queue: it starved everybody.
// Broken (4): a round had no time limit: computing tasks starved "tasks woken by a timer".
beside! {
    e8_beside_yielding_tasks child_yields Hog::Yields(TaskClass::Default);
    e8_beside_yielding_latency_tasks child_latency_yields Hog::Yields(TaskClass::Latency);
    e8_beside_a_channel_pair child_channels Hog::Channels(TaskClass::Default);
    e8_beside_a_latency_channel_pair child_latency_channels Hog::Channels(TaskClass::Latency);
    e8_beside_an_ever_ready_channel child_ready_channel Hog::ReadyChannel;
    e8_beside_an_ever_ready_socket child_ready_socket Hog::ReadySocket;
    e8_beside_socket_pairs child_sockets Hog::Sockets;
    e8_beside_spawning_tasks child_spawns Hog::Spawns;
    e8_beside_computing_tasks child_computes Hog::Computes;
}
