//! Prices of the runtime's operations in nanoseconds: `cargo bench -p llam`.
//!
//! `LLAM_RS_BENCH_ITERS` sets the operations per sample (default 200000); with a small number the
//! program is a test of itself, since every case checks its result. Each case is sampled
//! [`SAMPLES`] times in turn with the others, so that a disturbance hits all of them; the median
//! and the spread are printed, with the engine's I/O driver and number of workers.
#![forbid(unsafe_code)]

use llam::channel;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

const DEFAULT_ITERATIONS: u64 = 200_000;
const SAMPLES: usize = 7;

/// Runs at least this many operations and returns how many it has seen done.
type Case = fn(u64) -> llam::Result<u64>;

/// Name, part of the iterations (slow cases do one in so many), code.
const CASES: [(&str, u64, Case); 9] = [
    ("spawn_join", 1, spawn_join),
    ("spawn_batch_64", 1, spawn_batch),
    ("yield_now", 1, yield_now),
    ("channel_buffered", 1, channel_buffered),
    ("channel_pingpong", 1, channel_pingpong),
    ("select_default", 1, select_default),
    ("mutex_uncontended", 1, mutex_uncontended),
    ("sleep_zero", 1, sleep_zero),
    ("tcp_pingpong", 50, tcp_pingpong),
];

fn main() -> llam::Result<()> {
    let iterations = match std::env::var("LLAM_RS_BENCH_ITERS") {
        Ok(text) => text
            .parse()
            .ok()
            .filter(|&iterations| iterations > 0)
            .unwrap_or_else(|| {
                eprintln!("runtime_bench: LLAM_RS_BENCH_ITERS={text:?} is not a positive number");
                std::process::exit(2);
            }),
        Err(_) => DEFAULT_ITERATIONS,
    };
    llam::run_with_profile(llam::Profile::ReleaseFast, move || run(iterations))
}

fn run(iterations: u64) -> llam::Result<()> {
    println!("iterations={iterations} samples={SAMPLES}");
    let mut samples_ns = [const { Vec::new() }; CASES.len()];
    for _ in 0..SAMPLES {
        for ((name, part, case), samples) in CASES.iter().zip(&mut samples_ns) {
            let wanted = iterations.div_ceil(*part);
            let start = Instant::now();
            let done = case(wanted)?;
            let elapsed_ns = start.elapsed().as_nanos() as f64;
            assert!(done >= wanted, "{name} did {done} of {wanted}");
            samples.push(elapsed_ns / done as f64);
        }
    }
    println!(
        "{:<20} {:>10} {:>10} {:>10}",
        "ns/op", "median", "least", "most"
    );
    for ((name, _, _), mut samples) in CASES.iter().zip(samples_ns) {
        samples.sort_by(f64::total_cmp);
        let (least, most) = (samples[0], samples[SAMPLES - 1]);
        println!(
            "{name:<20} {:>10.1} {least:>10.1} {most:>10.1}",
            samples[SAMPLES / 2]
        );
    }
    Ok(())
}

fn spawn_join(iterations: u64) -> llam::Result<u64> {
    let mut done = 0;
    for _ in 0..iterations {
        done += llam::try_spawn(|| 1)?
            .join()
            .expect("the task does not fail");
    }
    Ok(done)
}

fn spawn_batch(iterations: u64) -> llam::Result<u64> {
    let mut done = 0;
    for _ in 0..iterations.div_ceil(64) {
        let mut batch = llam::TaskBatch::with_capacity(64);
        for _ in 0..64 {
            batch.spawn(|| 1)?;
        }
        done += batch
            .join()
            .expect("no task fails")
            .into_iter()
            .sum::<u64>();
    }
    Ok(done)
}

fn yield_now(iterations: u64) -> llam::Result<u64> {
    (0..iterations).for_each(|_| llam::task::yield_now());
    Ok(iterations)
}

fn channel_buffered(iterations: u64) -> llam::Result<u64> {
    let (sender, receiver) = channel::bounded::<u64>(256)?;
    let producer = llam::try_spawn(move || -> llam::Result<()> {
        for number in 0..iterations {
            sender.send(number).map_err(|refused| refused.error)?;
        }
        Ok(())
    })?;
    let mut done = 0;
    while let Some(number) = receiver.recv_option()? {
        assert_eq!(number, done);
        done += 1;
    }
    producer.join().expect("the producer does not panic")?;
    Ok(done)
}

fn channel_pingpong(iterations: u64) -> llam::Result<u64> {
    let (ping, pings) = channel::bounded::<u64>(1)?;
    let (pong, pongs) = channel::bounded::<u64>(1)?;
    let partner = llam::try_spawn(move || -> llam::Result<()> {
        while let Some(number) = pings.recv_option()? {
            pong.send(number + 1).map_err(|refused| refused.error)?;
        }
        Ok(())
    })?;
    let mut number = 0;
    while number < iterations {
        ping.send(number).map_err(|refused| refused.error)?;
        number = pongs.recv()?;
    }
    drop(ping);
    partner.join().expect("the partner does not panic")?;
    Ok(number)
}

fn select_default(iterations: u64) -> llam::Result<u64> {
    let (_first_sender, first) = channel::bounded::<u64>(1)?;
    let (_second_sender, second) = channel::bounded::<u64>(1)?;
    let mut done = 0;
    for _ in 0..iterations {
        done += llam::try_select! {
            recv(first) -> _value => 0,
            recv(second) -> _value => 0,
            default => 1,
        }?;
    }
    Ok(done)
}

fn mutex_uncontended(iterations: u64) -> llam::Result<u64> {
    let mutex = llam::sync::Mutex::new(0)?;
    for _ in 0..iterations {
        *mutex.lock()? += 1;
    }
    let done = *mutex.lock()?;
    Ok(done)
}

fn sleep_zero(iterations: u64) -> llam::Result<u64> {
    for _ in 0..iterations {
        llam::time::sleep(std::time::Duration::ZERO)?;
    }
    Ok(iterations)
}

/// One byte there and back over loopback.
fn tcp_pingpong(iterations: u64) -> llam::Result<u64> {
    let listener = llam::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let server = llam::try_spawn(move || -> llam::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? != 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    })?;
    let mut stream = llam::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut byte = [0];
    for round in 0..iterations {
        let sent = [round as u8];
        stream.write_all(&sent)?;
        stream.read_exact(&mut byte)?;
        assert_eq!(byte, sent);
    }
    drop(stream);
    server.join().expect("the server does not panic")?;
    Ok(iterations)
}
