//! Blocking regions (`abi.md` 5.11): a task keeps its OS thread, its worker goes on elsewhere.
//!
//! ```text
//!   thread A, home of worker W                 thread S (substitute)
//!   --------------------------                 ---------------------
//!   task T on W: enter_blocking
//!     T moves to a worker of its own, X
//!     W's seat becomes free ─────────────────> takes the seat, runs W's loop
//!   T blocks, or parks on X's little loop        (pinned tasks are held back)
//!   T: leave_blocking
//!     T goes back to W's inbox
//!     A wants its seat ──────────────────────> leaves the loop, gives the seat back, ends
//!   A runs W's loop again
//! ```
//!
//! A substitute's task may enter a region as well: then the next substitute takes the seat,
//! and this thread ends with the region. A pinned task runs on its home thread only, so it
//! does not go through the inbox: it waits for the seat itself.
//!
//! Operations in the kernel belong to the thread that submitted them, so whoever leaves a
//! seat first takes them all back; their tasks try again on the next thread's driver.
//!
//! A runtime whose tasks are all pinned (the Rust binding's) needs no substitute: started
//! tasks may not move. For fresh ones a spare worker is started, which takes fresh tasks
//! while some worker's thread is blocked, and keeps those it has started (E1).

use std::sync::atomic::Ordering;
use std::thread;

use parking_lot::{Condvar, Mutex};

use super::{CURRENT, Worker};
use crate::driver::Driver;
use crate::errno::Result;
use crate::fiber::{self, ThreadState};
use crate::task::{State, Task, flag};

/// Which thread may run a worker's loop.
#[derive(Default)]
pub(super) struct Seat {
    state: Mutex<SeatState>,
    changed: Condvar,
}

#[derive(Default)]
struct SeatState {
    free: bool,
    /// How often the home thread has come back. A substitute of an earlier turn that has
    /// not sat down yet is not needed any more.
    turn: u64,
}

impl Seat {
    fn turn(&self) -> u64 {
        self.state.lock().turn
    }

    fn give(&self) {
        self.state.lock().free = true;
        self.changed.notify_all();
    }

    /// A substitute sits down. False when it is not needed any more.
    fn take_for(&self, turn: u64) -> bool {
        let mut state = self.state.lock();
        while !state.free && state.turn == turn {
            self.changed.wait(&mut state);
        }
        let needed = state.turn == turn;
        if needed {
            state.free = false;
        }
        needed
    }

    fn take_home(&self) {
        let mut state = self.state.lock();
        while !state.free {
            self.changed.wait(&mut state);
        }
        state.free = false;
        state.turn += 1;
        self.changed.notify_all();
    }
}

/// Whether a region of this task needs somebody to go on for it.
fn needs_substitute(task: &Task) -> bool {
    task.flags() & flag::PINNED == 0 || task.runtime().has_unpinned_tasks()
}

/// Enters the outermost region of a task.
pub(crate) fn enter(worker: &'static Worker, task: &'static Task) -> Result<()> {
    let runtime = worker.runtime();
    if !needs_substitute(task) {
        runtime.worker_blocks()?;
        task.blocks_worker.set(true);
        return Ok(());
    }
    let code = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::ENOMEM);
    let index = worker.index.load(Ordering::Relaxed) as usize;
    let own = Worker::acquire(runtime, index).map_err(code)?;
    own.region_of.set(Some(worker));
    let turn = worker.seat.turn();
    let substitute = thread::Builder::new()
        .name(format!("llam-worker-{index}-substitute"))
        .spawn(move || worker.substitute(turn));
    if let Err(error) = substitute {
        own.region_of.set(None);
        own.release();
        return Err(code(error));
    }
    let driver = worker.take_driver();
    own.install(driver);
    worker.current.set(None);
    worker.move_task(own, task);
    own.current.set(Some(task));
    CURRENT.set(Some(own));
    runtime.add_region(own);
    worker.seat.give();
    Ok(())
}

/// Leaves the outermost region of a task.
pub(crate) fn leave(own: &'static Worker, task: &'static Task) {
    if task.blocks_worker.replace(false) {
        own.runtime().worker_unblocks();
    }
    let Some(worker) = own.region_of.get() else {
        return;
    };
    if task.flags() & flag::PINNED == 0 {
        own.leaving.set(true);
        // SAFETY: the task is the one running on this thread. `after_leaving` queues it.
        unsafe { task.leave() };
        return;
    }
    let driver = own.dissolve(worker, task);
    worker.return_home(driver);
    worker.current.set(Some(task));
}

impl Worker {
    /// Whether this worker exists for one task in a blocking region.
    #[inline]
    pub(crate) fn is_region(&self) -> bool {
        self.region_of.get().is_some()
    }

    /// Takes the driver away, with every operation and the bell taken back.
    fn take_driver(&'static self) -> Option<Driver> {
        // SAFETY: this thread runs the worker; the borrows end with the calls.
        unsafe {
            self.driver()
                .retire(&self.counters, &mut |task| self.complete(task));
            (*self.driver.get()).take()
        }
    }

    /// Gives this thread's driver to the worker that the thread runs from now on.
    fn install(&self, driver: Option<Driver>) {
        if let Some(mut driver) = driver {
            driver.watch_bell(self.bell.descriptor());
            // SAFETY: this thread runs the worker.
            unsafe { *self.driver.get() = Some(driver) };
        }
        self.sleep.wake_up();
    }

    /// Binds a task of this worker to another one, whose loop may run on another thread.
    fn move_task(&'static self, other: &'static Worker, task: &'static Task) {
        self.count_bound(-1);
        other.adopt_from_elsewhere(task);
    }

    /// Ends this region worker; its driver stays with the thread.
    fn dissolve(&'static self, worker: &'static Worker, task: &'static Task) -> Option<Driver> {
        let driver = self.take_driver();
        self.runtime().remove_region(self);
        self.current.set(None);
        self.move_task(worker, task);
        self.region_of.set(None);
        self.release();
        CURRENT.set(None);
        driver
    }

    /// The home thread takes its seat again.
    fn return_home(&'static self, driver: Option<Driver>) {
        self.seat_wanted.store(true, Ordering::Release);
        self.notify();
        self.seat.take_home();
        self.seat_wanted.store(false, Ordering::Release);
        self.install(driver);
        self.take_held();
        CURRENT.set(Some(self));
    }

    /// After an unpinned task of this worker has left its region on this thread: the task
    /// goes back to its worker, the thread to its seat, or, a substitute, to its end.
    /// False when the thread has no seat any more.
    pub(super) fn after_leaving<const SUBSTITUTE: bool>(
        &'static self,
        own: &'static Worker,
        task: &'static Task,
    ) -> bool {
        let driver = own.dissolve(self, task);
        task.set_state(State::Runnable);
        self.push_remote(task);
        if SUBSTITUTE {
            if let Some(driver) = driver {
                driver.close();
            }
            return false;
        }
        self.return_home(driver);
        true
    }

    /// The substitute thread: runs this worker's loop until the seat is wanted back, or
    /// given on.
    fn substitute(&'static self, turn: u64) {
        if !self.seat.take_for(turn) {
            return;
        }
        match Driver::open(self.runtime().backend(), self.bell.descriptor()) {
            Ok(driver) => {
                // SAFETY: this thread holds the seat.
                unsafe { *self.driver.get() = Some(driver) };
            }
            Err(error) => {
                eprintln!("llam: the neighbours of a blocking region wait for it: {error}");
                self.seat.give();
                return;
            }
        }
        let _alternate = crate::stack::overflow::AlternateStack::new();
        self.sleep.wake_up();
        CURRENT.set(Some(self));
        crate::object::signal::apply_mask();
        if self.schedule::<true>() {
            CURRENT.set(None);
            if let Some(driver) = self.take_driver() {
                driver.close();
            }
            self.seat.give();
        }
    }

    /// Runs the one task of this region worker until it leaves the region.
    pub(super) fn run_region(&'static self, task: &'static Task, thread: &ThreadState) -> bool {
        self.current.set(None);
        loop {
            self.take_inbox();
            if let Some(ready) = self.next_task() {
                debug_assert!(std::ptr::eq(ready, task), "a region worker has one task");
                task.set_state(State::Opaque);
                self.current.set(Some(task));
                // SAFETY: the task is bound to this worker and is not running.
                let ended = unsafe { fiber::enter(task.fiber(), task.own_state(), thread) };
                let here = CURRENT.get().is_some_and(|now| std::ptr::eq(now, self));
                if !here || self.leaving.get() {
                    return ended;
                }
                self.current.set(None);
            } else if !self.look_around() {
                self.idle();
            }
        }
    }

    /// A substitute may not run a pinned task: it waits for its home thread.
    pub(super) fn hold_if_pinned(&self, task: &'static Task) -> bool {
        let pinned = task.flags() & flag::PINNED != 0;
        if pinned {
            // SAFETY: this thread runs the worker, and the borrow ends here.
            unsafe { (*self.held.get()).push(task) };
        }
        pinned
    }

    fn take_held(&self) {
        // SAFETY: this thread runs the worker; the borrow ends before the queue is touched.
        let held = unsafe { std::mem::take(&mut *self.held.get()) };
        for task in held {
            self.push_started(task);
        }
    }
}
