//! A quick look at the price of the basic operations: `llam-rs-bench [iters]`.
//!
//! Prints operations per second, one line each: `spawn_join` (spawn a task and join it),
//! `channel_pingpong` (one value there and one back between two tasks), `select_default` (a
//! select over two empty channels with a default arm). Each checks its own result. For numbers to
//! quote use the `runtime_bench` benchmark and a quiet machine.
#![forbid(unsafe_code)]

use llam::channel;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const DEFAULT_ITERATIONS: u64 = 100_000;
const USAGE: &str = "usage: llam-rs-bench [iters]   (iters: 1 or more, default 100000)";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument
        .as_deref()
        .is_some_and(|text| text == "--help" || text == "-h")
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let parsed = argument.map_or(Ok(DEFAULT_ITERATIONS), |text| text.parse());
    let iterations = match (parsed, std::env::args().len()) {
        (Ok(iterations @ 1..), 0..=2) => iterations,
        _ => {
            eprintln!("llam-rs-bench: bad arguments; {USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = llam::run_with_profile(llam::Profile::ReleaseFast, move || {
        report("spawn_join", iterations, spawn_join(iterations)?);
        report(
            "channel_pingpong",
            iterations,
            channel_pingpong(iterations)?,
        );
        report("select_default", iterations, select_default(iterations)?);
        Ok(())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llam-rs-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(name: &str, iterations: u64, elapsed: Duration) {
    println!(
        "{name:<18} {:>14.0} ops/s",
        iterations as f64 / elapsed.as_secs_f64()
    );
}

fn spawn_join(iterations: u64) -> llam::Result<Duration> {
    let start = Instant::now();
    for number in 0..iterations {
        let joined = llam::try_spawn(move || number)?.join();
        assert_eq!(joined.expect("the task does not fail"), number);
    }
    Ok(start.elapsed())
}

fn channel_pingpong(iterations: u64) -> llam::Result<Duration> {
    let (ping, pings) = channel::bounded::<u64>(1)?;
    let (pong, pongs) = channel::bounded::<u64>(1)?;
    let partner = llam::try_spawn(move || -> llam::Result<()> {
        while let Some(number) = pings.recv_option()? {
            pong.send(number + 1).map_err(|refused| refused.error)?;
        }
        Ok(())
    })?;
    let start = Instant::now();
    for number in 0..iterations {
        ping.send(number).map_err(|refused| refused.error)?;
        assert_eq!(pongs.recv()?, number + 1);
    }
    let elapsed = start.elapsed();
    drop(ping);
    partner.join().expect("the partner does not panic")?;
    Ok(elapsed)
}

fn select_default(iterations: u64) -> llam::Result<Duration> {
    let (_first_sender, first) = channel::bounded::<u64>(1)?;
    let (_second_sender, second) = channel::bounded::<u64>(1)?;
    let start = Instant::now();
    let mut defaults = 0;
    for _ in 0..iterations {
        defaults += llam::try_select! {
            recv(first) -> _value => 0,
            recv(second) -> _value => 0,
            default => 1,
        }?;
    }
    assert_eq!(defaults, iterations);
    Ok(start.elapsed())
}
