//! A stress test that checks itself: `llam-rs-stress [seconds] [workers]`.
//!
//! Actors of several kinds run at once on one runtime, each doing small random rounds: spawning,
//! channels that are closed under their users, selects, cancels, timeouts, locks, sockets. Every
//! round accounts for what it has started and sent. Besides, the whole program checks:
//!
//! - no lost wake: a watchdog thread ends the process with a dump when a round takes longer than
//!   [`watch::ROUND_LIMIT`];
//! - at the end descriptors and live tasks are back to where they were after the first rounds.
//!
//! The seed is printed and can be given as `LLAM_STRESS_SEED`; it fixes what the rounds do, not
//! how they interleave. Exit code 0: all checks passed, 1: a check failed, 2: bad arguments.
//!
//! | file | holds |
//! |---|---|
//! | `main` | arguments, actors, final checks |
//! | `random` | the generator |
//! | `watch` | the watchdog |
//! | `ledger` | values that count themselves |
//! | `channels`, `selects`, `tasks`, `cancels`, `waits`, `locks`, `sockets` | the rounds |
#![forbid(unsafe_code)]

mod cancels;
mod channels;
mod ledger;
mod locks;
mod random;
mod selects;
mod sockets;
mod tasks;
mod waits;
mod watch;

use random::Random;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use watch::{Slot, Watch};

const USAGE: &str = "usage: llam-rs-stress [seconds] [workers]   (defaults: 10, one per CPU)";

/// Actors of each kind that run at once.
const ACTORS_PER_KIND: u64 = 2;

/// How long the runtime may take to end what the rounds have let go of.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Why a round failed; any error of the runtime that a round did not expect is one.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self(format!(
            "{}: unexpected error: {error}",
            std::panic::Location::caller()
        ))
    }
}

/// Fails the round unless the condition holds.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Failure(format!(
                "{}:{}: {}", file!(), line!(), format_args!($($message)+)
            )));
        }
    };
}
use check;

/// Does one small random thing, waits for all of it to end and checks the outcome.
type Round = fn(&mut Random, &Slot) -> Result<(), Failure>;

const KINDS: [(&str, Round); 7] = [
    ("channels", channels::round),
    ("selects", selects::round),
    ("tasks", tasks::round),
    ("cancels", cancels::round),
    ("waits", waits::round),
    ("locks", locks::round),
    ("sockets", sockets::round),
];

#[derive(Debug, Clone, Copy)]
struct Options {
    duration: Duration,
    /// 0: one per CPU.
    workers: usize,
    seed: u64,
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("llam-rs-stress: {error}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    println!(
        "llam-rs-stress: seconds={} workers={} seed={}",
        options.duration.as_secs(),
        options.workers,
        options.seed
    );
    tasks::silence_expected_panics();
    let watch = Watch::start(options.seed);
    let (sender, result) = std::sync::mpsc::sync_channel(1);
    let mut builder = llam::RuntimeBuilder::new();
    if options.workers > 0 {
        builder = builder.workers(options.workers);
    }
    let ran = builder.run(move || {
        match stress(options, &watch) {
            // The receiver outlives the runtime, and there is room for one.
            Ok(summary) => drop(sender.send(summary)),
            Err(failure) => fail(options.seed, &failure),
        }
        Ok(())
    });
    match (ran, result.recv()) {
        (Ok(()), Ok(summary)) => {
            println!("llam-rs-stress: ok; {summary}");
            ExitCode::SUCCESS
        }
        (Ok(()), Err(_)) => fail(options.seed, &Failure("the first task panicked".to_owned())),
        (Err(error), _) => fail(
            options.seed,
            &Failure(format!("the runtime failed: {error}")),
        ),
    }
}

/// `Ok(None)` asks for help.
fn parse() -> Result<Option<Options>, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        return Ok(None);
    }
    let number = |index: usize, default: u64, what: &str| match arguments.get(index) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is not a number of {what}")),
    };
    if arguments.len() > 2 {
        return Err(format!("too many arguments: {:?}", arguments[2]));
    }
    let seed = match std::env::var("LLAM_STRESS_SEED") {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("LLAM_STRESS_SEED={text:?} is no number"))?,
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64),
    };
    Ok(Some(Options {
        duration: Duration::from_secs(number(0, 10, "seconds")?),
        workers: number(1, 0, "workers")? as usize,
        seed,
    }))
}

/// The first task: warms up, runs all actors for the given time, checks the whole.
fn stress(options: Options, watch: &Arc<Watch>) -> Result<String, Failure> {
    // The first rounds make what the runtime makes only once: pool threads, rings, slabs.
    let mut random = Random::new(options.seed);
    for (name, round) in KINDS {
        round(&mut random, &watch.slot(name))?;
    }
    let live_before = settled_live_tasks(1)?;
    let descriptors_before = open_descriptors()?;

    let is_over = Arc::new(AtomicBool::new(false));
    let mut actors = Vec::new();
    for (name, round) in KINDS {
        let mut group = llam::TaskBatch::new();
        for _ in 0..ACTORS_PER_KIND {
            let random = random.fork();
            let slot = watch.slot(name);
            let is_over = is_over.clone();
            group.spawn(move || act(round, random, &slot, options.seed, &is_over))?;
        }
        actors.push((name, group));
    }
    let slot = watch.slot("main");
    let end = Instant::now() + options.duration;
    while Instant::now() < end {
        slot.step("sleep");
        llam::time::sleep(Duration::from_millis(20))?;
    }
    is_over.store(true, Ordering::Relaxed);
    slot.step("join actors");
    let mut rounds = Vec::new();
    for (name, group) in actors {
        let counts = group
            .join()
            .map_err(|error| Failure(format!("{name} ended: {error:?}")))?;
        rounds.push(format!("{name}={}", counts.iter().sum::<u64>()));
    }
    slot.step("settle");
    let live_after = settled_live_tasks(live_before)?;
    let descriptors_after = settled_descriptors(descriptors_before)?;
    Ok(format!(
        "rounds: {}; descriptors {descriptors_before} -> {descriptors_after}, \
         live tasks {live_before} -> {live_after}, driver {}",
        rounds.join(" "),
        llam::sys::ext::io_backend(),
    ))
}

/// One actor: rounds until the time is over.
fn act(round: Round, mut random: Random, slot: &Slot, seed: u64, is_over: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while !is_over.load(Ordering::Relaxed) {
        if let Err(failure) = round(&mut random, slot) {
            fail(seed, &failure);
        }
        slot.idle();
        rounds += 1;
    }
    rounds
}

/// Ends the process at once: tasks of a failed round may wait for ever.
fn fail(seed: u64, Failure(text): &Failure) -> ! {
    eprintln!("llam-rs-stress: FAILED with seed={seed}: {text}");
    std::process::exit(1)
}

/// Live tasks according to the engine's dump, once they are down to `expected`. Detached tasks
/// may still be ending.
fn settled_live_tasks(expected: u64) -> Result<u64, Failure> {
    let end = Instant::now() + SETTLE_LIMIT;
    loop {
        let live = live_tasks()?;
        if live <= expected {
            return Ok(live);
        }
        check!(
            Instant::now() < end,
            "{live} tasks are live, expected {expected}"
        );
        llam::time::sleep(Duration::from_millis(5))?;
    }
}

fn live_tasks() -> Result<u64, Failure> {
    let path = std::env::temp_dir().join(format!("llam-rs-stress-{}.dump", std::process::id()));
    let file = std::fs::File::create(&path)?;
    llam::diagnostics::dump_runtime_state(&file);
    let dump = std::fs::read_to_string(&path)?;
    std::fs::remove_file(&path)?;
    let digits = dump.split("live_tasks=").nth(1).map(|rest| {
        rest.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    });
    let live = digits.and_then(|digits| digits.parse().ok());
    live.ok_or_else(|| Failure(format!("the dump tells no live_tasks=: {dump}")))
}

/// Open descriptors, once they are down to `expected`.
fn settled_descriptors(expected: usize) -> Result<usize, Failure> {
    let end = Instant::now() + SETTLE_LIMIT;
    loop {
        let open = open_descriptors()?;
        if open <= expected {
            return Ok(open);
        }
        check!(
            Instant::now() < end,
            "{open} descriptors are open, expected {expected}"
        );
        llam::time::sleep(Duration::from_millis(5))?;
    }
}

/// Descriptors of sockets, files and pipes. Not those of the kernel's own objects (rings, epoll,
/// eventfd): a worker makes some when it is first needed, which may be after the count began.
/// Linux tells; elsewhere 0, which makes the check pass.
fn open_descriptors() -> Result<usize, Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(0);
    }
    let targets = std::fs::read_dir("/proc/self/fd")?
        .filter_map(Result::ok)
        // One that was closed meanwhile has no target.
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let is_kernel_object = |target: &PathBuf| target.to_string_lossy().starts_with("anon_inode:");
    Ok(targets.filter(|target| !is_kernel_object(target)).count())
}
