//! Rounds of mutexes, conditions and the blocking pool.
//!
//! Checked: a mutex excludes (also when its holder parks), no increment is lost, every item of a
//! bounded buffer built on two conditions arrives, a blocking call returns what it computed.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    match random.between(0, 4) {
        0 | 1 => count_together(random, slot),
        2 | 3 => pass_items(random, slot),
        _ => block(random, slot),
    }
}

fn count_together(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("locks: count");
    let total = Arc::new(Mutex::new(0)?);
    let is_inside = Arc::new(AtomicBool::new(false));
    let per_task = random.between(1, 50);
    let mut tasks = Vec::new();
    for _ in 0..random.between(1, 8) {
        let (total, is_inside, mut random) = (total.clone(), is_inside.clone(), random.fork());
        tasks.push(llam::try_spawn(move || -> Result<(), Failure> {
            for _ in 0..per_task {
                let mut total = total.lock()?;
                let was_inside = is_inside.swap(true, Ordering::Relaxed);
                check!(!was_inside, "two tasks hold one mutex");
                let before = *total;
                match random.between(0, 19) {
                    0 => llam::time::sleep(random.micros(20))?,
                    1..4 => llam::task::yield_now(),
                    _ => {}
                }
                *total = before + 1;
                is_inside.store(false, Ordering::Relaxed);
            }
            Ok(())
        })?);
    }
    let expected = tasks.len() as u64 * per_task;
    for task in tasks {
        task.join()
            .map_err(|error| Failure(format!("a counter ended: {error:?}")))??;
    }
    let total = *total.lock()?;
    check!(total == expected, "{expected} increments gave {total}");
    Ok(())
}

/// A bounded buffer as in the textbook.
struct Buffer {
    items: Mutex<VecDeque<u64>>,
    capacity: usize,
    is_not_empty: Condvar,
    is_not_full: Condvar,
}

impl Buffer {
    fn put(&self, item: u64) -> llam::Result<()> {
        let mut items = self.items.lock()?;
        while items.len() == self.capacity {
            items = self.is_not_full.wait(items)?;
        }
        items.push_back(item);
        self.is_not_empty.notify_one()
    }

    fn take(&self) -> llam::Result<u64> {
        let mut items = self.items.lock()?;
        loop {
            if let Some(item) = items.pop_front() {
                self.is_not_full.notify_one()?;
                return Ok(item);
            }
            items = self.is_not_empty.wait(items)?;
        }
    }
}

fn pass_items(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("locks: pass items");
    let buffer = Arc::new(Buffer {
        items: Mutex::new(VecDeque::new())?,
        capacity: random.between(1, 4) as usize,
        is_not_empty: Condvar::new()?,
        is_not_full: Condvar::new()?,
    });
    let sides = random.between(1, 4);
    let per_task = random.between(1, 40);
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..sides {
        let (taking, putting) = (buffer.clone(), buffer.clone());
        consumers.push(llam::try_spawn(move || {
            (0..per_task).try_fold(0, |sum, _| llam::Result::Ok(sum + taking.take()?))
        })?);
        producers.push(llam::try_spawn(move || {
            (1..=per_task).try_for_each(|item| putting.put(item))
        })?);
    }
    for producer in producers {
        producer
            .join()
            .map_err(|error| Failure(format!("a producer ended: {error:?}")))??;
    }
    let mut sum = 0;
    for consumer in consumers {
        sum += consumer
            .join()
            .map_err(|error| Failure(format!("a consumer ended: {error:?}")))??;
    }
    let expected = sides * per_task * (per_task + 1) / 2;
    check!(
        sum == expected,
        "items put add up to {expected}, items taken to {sum}"
    );
    Ok(())
}

fn block(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("locks: blocking calls");
    let mut tasks = Vec::new();
    for number in 0..random.between(1, 6) {
        let nap = random.micros(500);
        tasks.push(llam::try_spawn(move || -> Result<u64, Failure> {
            let doubled = llam::blocking::call(|| {
                std::thread::sleep(nap);
                number * 2
            })?;
            doubled.map_err(|_| Failure("a blocking closure panicked".to_owned()))
        })?);
    }
    for (number, task) in tasks.into_iter().enumerate() {
        let doubled = task
            .join()
            .map_err(|error| Failure(format!("a caller: {error:?}")))??;
        check!(
            doubled == number as u64 * 2,
            "twice {number} came back as {doubled}"
        );
    }
    Ok(())
}
