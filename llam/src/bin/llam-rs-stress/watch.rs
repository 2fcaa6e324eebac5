//! Owns the watchdog: a thread that ends the process when an actor makes no progress.
//!
//! Invariants: each actor has one slot, which only it writes; a slot that is busy longer than
//! [`ROUND_LIMIT`] without a new step is a lost wake or a deadlock, since rounds are small and
//! wait for nothing outside. The thread is outside the runtime, so a stuck runtime cannot stop it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one step of a round may take. Steps take milliseconds; the rest is for loaded
/// machines.
pub(crate) const ROUND_LIMIT: Duration = Duration::from_secs(20);

const LOOK_PERIOD: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    seed: u64,
    slots: Mutex<Vec<Arc<State>>>,
}

#[derive(Debug)]
struct State {
    actor: &'static str,
    /// Milliseconds since the watch started, plus one; 0 while idle.
    busy_since_ms: AtomicU64,
    step: Mutex<&'static str>,
}

/// An actor's handle. Dropping it ends the watch over this actor.
#[derive(Debug)]
pub(crate) struct Slot {
    watch: Arc<Watch>,
    state: Arc<State>,
}

impl Watch {
    /// Starts the thread. It ends with the process.
    pub(crate) fn start(seed: u64) -> Arc<Self> {
        let watch = Arc::new(Self {
            started: Instant::now(),
            seed,
            slots: Mutex::default(),
        });
        let looking = watch.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK_PERIOD);
                looking.look();
            }
        });
        watch
    }

    pub(crate) fn slot(self: &Arc<Self>, actor: &'static str) -> Slot {
        let state = Arc::new(State {
            actor,
            busy_since_ms: AtomicU64::new(0),
            step: Mutex::new("nothing yet"),
        });
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(state.clone());
        Slot {
            watch: self.clone(),
            state,
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }

    fn look(&self) {
        let now_ms = self.now_ms();
        for state in self
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let since_ms = state.busy_since_ms.load(Ordering::Relaxed);
            let busy = Duration::from_millis(now_ms.saturating_sub(since_ms));
            if since_ms != 0 && busy > ROUND_LIMIT {
                let step = state.step.lock().unwrap_or_else(PoisonError::into_inner);
                eprintln!(
                    "llam-rs-stress: FAILED with seed={}: {} is stuck for {busy:?} in: {step}",
                    self.seed, state.actor
                );
                llam::diagnostics::dump_runtime_state(&std::io::stderr());
                std::process::exit(1);
            }
        }
    }
}

impl Slot {
    /// The actor begins something that must end within [`ROUND_LIMIT`].
    pub(crate) fn step(&self, name: &'static str) {
        *self
            .state
            .step
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = name;
        self.state
            .busy_since_ms
            .store(self.watch.now_ms(), Ordering::Relaxed);
    }

    /// The actor is between rounds.
    pub(crate) fn idle(&self) {
        self.state.busy_since_ms.store(0, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self
            .watch
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        slots.retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}
