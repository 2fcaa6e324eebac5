//! Engine invariant E5 (each stack has a guard), and where a panic goes.
//!
//! "Broken" in a comment tells how the invariant was broken on purpose and what the test said.

mod common;
mod support_child;

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{alone, quiet_panics, run};
use llam::StackClass;
use support_child::{LIMIT, child, finish, is_child};

/// Which class the child fills up.
const CLASS: &str = "LLAM_TEST_STACK_CLASS";

/// Usable KiB of a class in this build.
fn usable_kib(class: StackClass) -> usize {
    let base = match class {
        StackClass::Default => 64,
        StackClass::Large => 256,
        StackClass::Huge => 1024,
    };
    match (cfg!(debug_assertions), llam::sys::ext::IS_BUNDLED) {
        (false, _) => base,
        (true, true) => base * 4,
        // The next larger class of an SDK, and there is none above the largest.
        (true, false) => (base * 4).min(1024),
    }
}

fn class_named(name: &str) -> StackClass {
    match name {
        "large" => StackClass::Large,
        "huge" => StackClass::Huge,
        _ => StackClass::Default,
    }
}

/// Uses stack until there is none.
fn dig(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    dig(depth + 1) + frame[(depth % 64) as usize]
}

#[test]
#[ignore = "the child of e5_an_overflow_names_the_task_and_aborts"]
fn child_overflow() {
    if !is_child() {
        return;
    }
    let _guard = alone();
    let class = class_named(&std::env::var(CLASS).unwrap());
    let outcome = llam::run(move || {
        // Neighbours whose stacks would be written over without a guard.
        let mut batch = llam::TaskBatch::new();
        for _ in 0..8 {
            batch.spawn_with(llam::SpawnOptions::new().stack(class), || {
                llam::time::sleep(std::time::Duration::from_secs(5)).unwrap();
            })?;
        }
        let digger = llam::task::Builder::new()
            .name("digger")
            .stack_size(class)
            .spawn(|| {
                llam::task::yield_now();
                eprintln!("id={}", llam::task::current_id().unwrap());
                dig(0)
            })?;
        digger.join()?;
        Ok(())
    });
    panic!("a full stack went unnoticed: {outcome:?}");
}

// Broken: `Class::carve` did not install the guard: the child died by SIGSEGV without a line.
#[test]
fn e5_an_overflow_names_the_task_and_aborts() {
    for name in ["default", "large", "huge"] {
        for guard in ["advised", "mprotect"] {
            let mut command = child("child_overflow");
            command.env(CLASS, name).env("LLAM_STACK_GUARD", guard);
            let ended = finish(command, LIMIT);
            let text = ended.text();
            assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{text}");
            let [line] = ended.stderr_lines("overflowed its stack")[..] else {
                panic!("one line about it: {text}");
            };
            let id = ended.stderr_lines("id=")[0].trim_start_matches("id=");
            if llam::sys::ext::IS_BUNDLED {
                let begin = format!("llam: task {id} \"digger\" (spawned at ");
                assert!(line.starts_with(&begin), "{line}");
                assert!(line.contains("tests/invariants_stacks.rs:"), "{line}");
                let size = format!("of {} KiB", usable_kib(class_named(name)));
                assert!(line.contains(&size), "{line}");
            } else {
                assert!(line.starts_with(&format!("llam: task {id} ")), "{line}");
            }
            assert!(!text.contains("went unnoticed"), "{text}");
        }
    }
}

#[test]
fn a_stack_is_as_large_as_promised() {
    run(|| {
        for class in [StackClass::Default, StackClass::Large, StackClass::Huge] {
            let bytes = usable_kib(class) * 1024;
            let options = llam::SpawnOptions::new().stack(class);
            let deepest = llam::spawn_with(options, move || {
                let top = std::ptr::from_ref(&bytes).addr();
                // A part is taken already, and calls below this frame need some.
                reach(top - bytes * 3 / 4)
            });
            assert!(deepest.join()? > 0);
        }
        Ok(())
    });
}

/// Recurses until its frame lies below the address; returns how deep that was.
fn reach(address: usize) -> usize {
    let frame = std::hint::black_box([0_usize; 32]);
    if std::ptr::from_ref(&frame).addr() < address {
        return 1;
    }
    reach(address) + 1 + frame[31]
}

/// Reports the panic, and that the destructors of the panicking task have run.
struct Unwound(Arc<AtomicUsize>);

impl Drop for Unwound {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_reaches_its_joiner_and_nobody_else() {
    const TASKS: usize = 64;
    quiet_panics();
    run(|| {
        let unwound = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = llam::channel::bounded::<usize>(TASKS)?;
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let (tx, unwound) = (tx.clone(), Unwound(Arc::clone(&unwound)));
                llam::spawn(move || {
                    let _unwound = unwound;
                    llam::task::yield_now();
                    assert!(number % 3 != 0, "expected: {number}");
                    llam::time::sleep(std::time::Duration::from_millis(1)).unwrap();
                    tx.send(number).unwrap();
                    number
                })
            })
            .collect();
        drop(tx);
        for (number, task) in tasks.into_iter().enumerate() {
            match task.join() {
                Ok(value) => assert!(value == number && number % 3 != 0),
                Err(error) => {
                    assert_eq!(number % 3, 0, "only its own panic: {error}");
                    let message = format!("expected: {number}");
                    assert_eq!(error.panic_message(), Some(message.as_str()));
                }
            }
        }
        let mut heard: Vec<_> = rx.iter().collect();
        heard.sort_unstable();
        assert!(
            heard
                .into_iter()
                .eq((0..TASKS).filter(|number| number % 3 != 0))
        );
        assert_eq!(unwound.load(Ordering::SeqCst), TASKS, "destructors run");
        Ok(())
    });
}

#[test]
fn a_panic_that_nobody_joins_ends_its_task_alone() {
    quiet_panics();
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        llam::spawn(move || {
            let _closes_at_the_end = tx;
            panic!("expected: nobody joins");
        })
        .detach()?;
        assert!(rx.recv().is_err(), "the task has unwound");
        assert_eq!(llam::spawn(|| 5).join()?, 5, "life goes on");
        Ok(())
    });
}
