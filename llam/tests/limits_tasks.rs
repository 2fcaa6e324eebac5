//! How many tasks fit: a hundred thousand asleep, a million parked, and what happens where guards are
//! scarce (`LLAM_STACK_GUARD=mprotect`).

mod common;
mod support_child;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::alone;
use llam::{SpawnOptions, StackClass};
use support_child::{child, finish, is_child, resident_bytes};

/// How long a crowd may take, in any build.
const LIMIT: Duration = Duration::from_secs(240);

/// Prints what each of `tasks` costs; `before` was resident without them.
fn print_cost(what: &str, tasks: usize, before: usize) -> usize {
    let each = resident_bytes().saturating_sub(before) / tasks;
    println!("| {tasks} {what}: {each} bytes resident per task");
    each
}

#[test]
#[ignore = "the child of a_hundred_thousand_tasks_sleep"]
fn child_sleepers() {
    const TASKS: usize = 100_000;
    if !is_child() {
        return;
    }
    llam::run(|| {
        let before = resident_bytes();
        let asleep = Arc::new(AtomicUsize::new(0));
        let awake = Arc::new(AtomicUsize::new(0));
        let scope = llam::CancelScope::new()?;
        let began = Instant::now();
        let mut batch = llam::TaskBatch::with_capacity(TASKS);
        for number in 0..TASKS {
            let (asleep, awake) = (Arc::clone(&asleep), Arc::clone(&awake));
            let options = SpawnOptions::new().cancel(scope.token());
            batch.spawn_with(options, move || {
                asleep.fetch_add(1, Ordering::Relaxed);
                // Half of them end by themselves, at a thousand different times.
                let wake = if number % 2 == 0 {
                    500 + number as u64 % 1000
                } else {
                    3_600_000
                };
                let slept = llam::time::sleep(Duration::from_millis(wake)).is_ok();
                awake.fetch_add(1, Ordering::Relaxed);
                slept
            })?;
        }
        while asleep.load(Ordering::Relaxed) < TASKS {
            assert!(began.elapsed() < LIMIT, "the crowd does not get to sleep");
            llam::time::sleep(Duration::from_millis(5))?;
        }
        println!("| {TASKS} asleep after {:?}", began.elapsed());
        let each = print_cost("sleeping tasks", TASKS, before);
        assert!(each < 24 * 1024, "more than a few pages each: {each}");
        while awake.load(Ordering::Relaxed) < TASKS / 2 {
            assert!(began.elapsed() < LIMIT, "half of the crowd does not wake");
            llam::time::sleep(Duration::from_millis(5))?;
        }
        scope.cancel()?;
        let ended: Vec<bool> = batch.join()?;
        let slept = ended.iter().filter(|slept| **slept).count();
        assert_eq!(slept, TASKS / 2, "one half was cancelled");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_hundred_thousand_tasks_sleep() {
    finish(child("child_sleepers"), LIMIT).expect_success();
}

#[test]
#[ignore = "the child of large_a_million_tasks_park"]
fn child_million() {
    const TASKS: usize = 1_000_000;
    if !is_child() {
        return;
    }
    llam::run(|| {
        let before = resident_bytes();
        let parked = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let began = Instant::now();
        let mut batch = llam::TaskBatch::with_capacity(TASKS);
        for _ in 0..TASKS {
            let (rx, parked) = (rx.clone(), Arc::clone(&parked));
            batch.spawn(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                rx.recv().is_err()
            })?;
        }
        while parked.load(Ordering::Relaxed) < TASKS {
            assert!(began.elapsed() < LIMIT, "the crowd does not get to park");
            llam::time::sleep(Duration::from_millis(20))?;
        }
        println!("| {TASKS} parked after {:?}", began.elapsed());
        let each = print_cost("parked tasks", TASKS, before);
        assert!(each < 24 * 1024, "more than a few pages each: {each}");
        drop(tx);
        assert!(batch.join()?.into_iter().all(|closed| closed));
        println!("| {TASKS} ended after {:?}", began.elapsed());
        Ok(())
    })
    .unwrap();
}

// Not in debug builds: they need four times the time.
#[test]
#[ignore = "takes a while and some ten gigabytes of memory"]
fn large_a_million_tasks_park() {
    finish(child("child_million"), LIMIT).expect_success();
}

/// Spawns parked tasks until that fails; returns them, what to drop to end them, and the error.
fn fill_up(options: &SpawnOptions) -> (Vec<llam::JoinHandle<()>>, llam::channel::Sender<()>, i32) {
    let (tx, rx) = llam::channel::bounded::<()>(1).unwrap();
    let mut tasks = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let count = tasks.len();
        assert!(
            Instant::now() < end,
            "stuck after {count} tasks that have not all started"
        );
        let rx = rx.clone();
        let spawned = llam::try_spawn_with(options.clone(), move || {
            rx.recv().unwrap_err();
        });
        match spawned {
            Ok(task) => tasks.push(task),
            Err(error) => return (tasks, tx, error.errno()),
        }
        if tasks.len() % 64 == 0 {
            // So that they start and take their stacks.
            llam::task::yield_now();
        }
    }
}

fn end(tasks: Vec<llam::JoinHandle<()>>, tx: llam::channel::Sender<()>) {
    drop(tx);
    for task in tasks {
        task.join().unwrap();
    }
}

/// Fills the process up with tasks of one class, then sees whether another class fits.
fn fill_up_twice(first: StackClass, second: StackClass) {
    let _guard = alone();
    llam::run(move || {
        for class in [first, second] {
            let options = SpawnOptions::new().stack(class);
            let (tasks, tx, errno) = fill_up(&options);
            println!("| at most={} {class:?}", tasks.len());
            assert_eq!(errno, libc::EAGAIN);
            assert_eq!(
                llam::try_spawn(|| ()).unwrap_err().errno(),
                libc::EAGAIN,
                "the limit holds"
            );
            end(tasks, tx);
            let again = llam::spawn_with(options, || 5);
            assert_eq!(again.join()?, 5, "there is room after the joins");
        }
        Ok(())
    })
    .unwrap();
}

#[test]
#[ignore = "the child of scarce_guards_limit_the_number_of_tasks"]
fn child_one_class() {
    if is_child() {
        fill_up_twice(StackClass::Default, StackClass::Default);
    }
}

#[test]
#[ignore = "the child of scarce_guards_limit_the_number_of_tasks_of_all_classes"]
fn child_two_classes() {
    if is_child() {
        fill_up_twice(StackClass::Default, StackClass::Large);
    }
}

/// The number in the line about the limit; there is exactly one such line.
fn announced(ended: &support_child::Ended) -> usize {
    let lines = ended.stderr_lines("llam: stack guards by mprotect: at most ");
    assert_eq!(lines.len(), 1, "{}", ended.text());
    let number = lines[0].split("at most ").nth(1).unwrap();
    number.split(' ').next().unwrap().parse().unwrap()
}

fn limit_holds_in(name: &str) {
    let mut command = child(name);
    command.env("LLAM_STACK_GUARD", "mprotect");
    let ended = finish(command, Duration::from_secs(55)).expect_success();
    let limit = announced(&ended);
    assert!(limit > 1000, "{limit}");
    let counts: Vec<usize> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split("at most=").nth(1))
        .map(|count| count.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), 2);
    // The main task has a stack too.
    assert_eq!(counts[0], limit - 1, "as announced");
    assert!(counts[1] <= counts[0], "never more than announced");
}

#[test]
fn scarce_guards_limit_the_number_of_tasks() {
    limit_holds_in("child_one_class");
}

#[test]
fn scarce_guards_limit_the_number_of_tasks_of_all_classes() {
    limit_holds_in("child_two_classes");
}
