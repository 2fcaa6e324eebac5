//! The run queue of started tasks: a ring that its worker alone touches.
//!
//! A ring of a power of two that grows, as `VecDeque`, but made for one use: an entry is put in and
//! taken out in a few instructions, and the entries behind the first can be looked at without
//! being taken, so that what they need is in the cache when their turn comes ([`RunQueue::prefetch`]).
//! Holds live tasks only, each at most once (E6).

use std::mem::MaybeUninit;

use crate::errno;
use crate::task::Task;

/// A place in the run queue.
#[derive(Clone, Copy)]
pub(super) struct Queued {
    pub(super) task: &'static Task,
    pub(super) ticket: u32,
}

/// Entries ahead of the first whose tasks are fetched into the cache.
const TASK_AHEAD: u32 = 8;
/// Entries ahead of the first whose stacks are: their tasks have arrived by then.
const STACK_AHEAD: u32 = 4;
/// A queue this short lives in the first cache anyway.
const WORTH_FETCHING: u32 = 16;
const FIRST_CAPACITY: usize = 64;

pub(super) struct RunQueue {
    /// Its length is a power of two, or 0 at first.
    ring: Box<[MaybeUninit<Queued>]>,
    head: u32,
    tail: u32,
}

impl RunQueue {
    pub(super) fn new() -> Self {
        Self {
            ring: Box::default(),
            head: 0,
            tail: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    #[inline]
    fn place(&self, position: u32) -> usize {
        position as usize & (self.ring.len() - 1)
    }

    #[inline]
    pub(super) fn push(&mut self, queued: Queued) {
        if self.len() as usize == self.ring.len() {
            errno::preserve(|| self.grow());
        }
        let place = self.place(self.tail);
        // SAFETY: `place` is below the length, which is not 0 after `grow`.
        unsafe { self.ring.get_unchecked_mut(place) }.write(queued);
        self.tail = self.tail.wrapping_add(1);
    }

    #[cold]
    fn grow(&mut self) {
        let capacity = (self.ring.len() * 2).max(FIRST_CAPACITY);
        let mut larger = Box::new_uninit_slice(capacity);
        let len = self.len();
        for offset in 0..len {
            let place = self.place(self.head.wrapping_add(offset));
            larger[offset as usize] = self.ring[place];
        }
        self.ring = larger;
        self.head = 0;
        self.tail = len;
    }

    #[inline]
    pub(super) fn first(&self) -> Option<Queued> {
        self.ahead(0)
    }

    #[inline]
    fn ahead(&self, offset: u32) -> Option<Queued> {
        if self.len() <= offset {
            return None;
        }
        let place = self.place(self.head.wrapping_add(offset));
        // SAFETY: the places from `head` to `tail` are below the length and were written.
        Some(unsafe { self.ring.get_unchecked(place).assume_init() })
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<&'static Task> {
        let first = self.first()?;
        self.head = self.head.wrapping_add(1);
        Some(first.task)
    }

    /// Changes places of the first entry and another.
    pub(super) fn swap_first(&mut self, offset: u32) {
        let (first, other) = (
            self.place(self.head),
            self.place(self.head.wrapping_add(offset)),
        );
        self.ring.swap(first, other);
    }

    /// Starts to fetch what the next entries need. With thousands of tasks, each of whose stacks and slots
    /// lies in memory of its own, a switch costs little beside the wait for that memory.
    #[inline]
    pub(super) fn prefetch(&self) {
        if self.len() < WORTH_FETCHING {
            return;
        }
        if let Some(queued) = self.ahead(TASK_AHEAD) {
            queued.task.prefetch();
        }
        if let Some(queued) = self.ahead(STACK_AHEAD) {
            queued.task.prefetch_stack();
        }
    }

    pub(super) fn clear(&mut self) {
        self.head = self.tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slot;
    use crate::task::TASKS;
    use std::collections::VecDeque;

    #[test]
    fn first_in_first_out_while_it_grows() {
        let mut tasks = Vec::new();
        TASKS.take_batch(&mut tasks, 300);
        let (mut queue, mut model) = (RunQueue::new(), VecDeque::new());
        assert!(queue.pop().is_none() && queue.is_empty());
        for round in 0..tasks.len() {
            // Two in, one out: head and tail move while the ring grows.
            for task in [tasks[round], tasks[(round * 7) % tasks.len()]] {
                queue.push(Queued {
                    task,
                    ticket: round as u32,
                });
                model.push_back(task.head().index());
            }
            queue.prefetch();
            let popped = queue.pop().expect("two were put in");
            assert_eq!(Some(popped.head().index()), model.pop_front());
            assert_eq!(queue.len() as usize, model.len());
        }
        queue.swap_first(5);
        model.swap(0, 5);
        while let Some(task) = queue.pop() {
            assert_eq!(Some(task.head().index()), model.pop_front());
        }
        assert!(model.is_empty());
        TASKS.give_back(tasks);
    }
}
