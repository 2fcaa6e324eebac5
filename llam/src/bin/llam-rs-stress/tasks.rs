//! Rounds of spawning: trees, batches, groups, scopes, detached tasks, panics.
//!
//! Checked: every task runs exactly once and its result arrives; a scope has ended its children
//! when it returns; a panic reaches whoever joins and nobody else.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::{JoinError, SpawnOptions, StackClass, TaskBatch, TaskClass, TaskGroup};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Payload of the panics that rounds make on purpose.
const EXPECTED_PANIC: &str = "a stress round panics on purpose";

/// Keeps the panics of these rounds off standard error; all others are shown.
pub(crate) fn silence_expected_panics() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(EXPECTED_PANIC) {
            show(panic);
        }
    }));
}

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    match random.between(0, 5) {
        0 => spawn_tree(random, slot),
        1 => run_batch(random, slot),
        2 => run_group(random, slot),
        3 => run_scope(random, slot),
        4 => detach_some(random, slot),
        _ => panic_and_join(random, slot),
    }
}

fn any_options(random: &mut Random) -> SpawnOptions {
    let class = [TaskClass::Latency, TaskClass::Default, TaskClass::Batch];
    let stack = [StackClass::Default, StackClass::Default, StackClass::Large];
    SpawnOptions::new()
        .class(class[random.between(0, 2) as usize])
        .stack(stack[random.between(0, 2) as usize])
        .latency_critical(random.one_in(10))
}

/// A tree of tasks; each node tells how many nodes its subtree has.
fn spawn_tree(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    fn grow(depth: u64, mut random: Random) -> Result<u64, Failure> {
        let mut children = Vec::new();
        if depth > 0 {
            for _ in 0..3 {
                let (options, random) = (any_options(&mut random), random.fork());
                children.push(llam::try_spawn_with(options, move || {
                    grow(depth - 1, random)
                })?);
            }
        }
        if random.one_in(4) {
            llam::time::sleep(random.micros(50))?;
        }
        let mut nodes = 1;
        for child in children {
            let Ok(below) = child.join() else {
                return Err(Failure("a node of the tree was lost".to_owned()));
            };
            nodes += below?;
        }
        Ok(nodes)
    }
    slot.step("tasks: tree");
    let depth = random.between(1, 4);
    let nodes = grow(depth, random.fork())?;
    let expected = (3_u64.pow(depth as u32 + 1) - 1) / 2;
    check!(
        nodes == expected,
        "a tree of {expected} tasks reported {nodes}"
    );
    Ok(())
}

fn run_batch(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("tasks: batch");
    let size = random.between(0, 100);
    let mut batch = TaskBatch::new();
    for number in 0..size {
        let naps = random.one_in(5);
        batch.spawn_with(any_options(random), move || {
            if naps {
                llam::task::yield_now();
            }
            number
        })?;
    }
    let results = batch
        .join()
        .map_err(|error| Failure(format!("batch: {error:?}")))?;
    check!(
        results == (0..size).collect::<Vec<_>>(),
        "batch of {size} gave {results:?}"
    );
    Ok(())
}

fn run_group(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("tasks: group");
    let ran = Arc::new(AtomicU64::new(0));
    let size = random.between(0, 50);
    let is_cancelled = random.one_in(2);
    let mut group = TaskGroup::new()?;
    for _ in 0..size {
        let ran = ran.clone();
        // Without the cancel a nap is short; with it, only the cancel ends it in time.
        let nap = if is_cancelled {
            Duration::from_secs(3600)
        } else {
            random.micros(200)
        };
        group.spawn(move || {
            let _ = llam::time::sleep(nap);
            ran.fetch_add(1, Ordering::Relaxed);
        })?;
    }
    if is_cancelled {
        llam::time::sleep(random.micros(100))?;
        group.cancel()?;
    }
    group.join()?;
    let ran = ran.load(Ordering::Relaxed);
    check!(ran == size, "{ran} of {size} children ran");
    Ok(())
}

/// Children write into the parent's frame; the sum is right only if all have ended.
fn run_scope(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("tasks: scope");
    let mut cells = vec![0; random.between(1, 40) as usize];
    let naps: Vec<_> = cells.iter().map(|_| random.micros(100)).collect();
    llam::scope(|scope| {
        for (number, (cell, nap)) in cells.iter_mut().zip(&naps).enumerate() {
            scope.spawn(move || {
                let _ = llam::time::sleep(*nap);
                *cell = number + 1;
            });
        }
    });
    check!(
        cells
            .iter()
            .enumerate()
            .all(|(number, cell)| *cell == number + 1),
        "a scope returned before its children: {cells:?}"
    );
    Ok(())
}

fn detach_some(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("tasks: detached");
    let size = random.between(1, 30);
    let (sender, receiver) = llam::channel::bounded(4)?;
    for number in 0..size {
        let sender = sender.clone();
        let task = llam::try_spawn(move || sender.send(number).is_ok())?;
        if random.one_in(2) {
            task.detach()?;
        }
    }
    drop(sender);
    let mut sum = 0;
    while let Some(number) = receiver.recv_option()? {
        sum += number;
    }
    check!(
        sum == size * (size - 1) / 2,
        "{size} detached tasks sent a sum of {sum}"
    );
    Ok(())
}

fn panic_and_join(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("tasks: panics");
    let panics: Vec<bool> = (0..random.between(1, 8))
        .map(|_| random.one_in(2))
        .collect();
    let mut handles = Vec::new();
    for &is_to_panic in &panics {
        handles.push(llam::try_spawn(move || {
            llam::task::yield_now();
            if is_to_panic {
                std::panic::panic_any(EXPECTED_PANIC);
            }
        })?);
    }
    for (handle, is_to_panic) in handles.into_iter().zip(panics) {
        let has_panicked = match handle.join() {
            Ok(()) => false,
            Err(JoinError::Panic(payload)) => {
                payload.downcast_ref::<&str>() == Some(&EXPECTED_PANIC)
            }
            Err(error) => return Err(Failure(format!("join after a panic: {error:?}"))),
        };
        check!(
            has_panicked == is_to_panic,
            "panicked: {has_panicked}, expected: {is_to_panic}"
        );
    }
    Ok(())
}
