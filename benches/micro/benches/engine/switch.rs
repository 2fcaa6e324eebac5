//! Entering a fiber and leaving it again: the two halves of a task switch.

use std::cell::Cell;
use std::rc::Rc;

use criterion::Criterion;

use crate::fiber;
use crate::stack::Stack;

pub(crate) fn benches(criterion: &mut Criterion) {
    criterion.bench_function("engine/switch-enter-leave", |bencher| {
        let turns = Rc::new(Cell::new(0_u64));
        let inside = turns.clone();
        let is_over = Rc::new(Cell::new(false));
        let told = is_over.clone();
        let mut fiber = fiber::prepare(Stack::new(), move |way_back| {
            while !told.get() {
                inside.set(inside.get() + 1);
                fiber::leave(way_back);
            }
        });
        let mut entered = 0;
        bencher.iter(|| {
            entered += 1;
            fiber::enter(&mut fiber)
        });
        assert_eq!(turns.get(), entered, "the fiber runs each time");
        is_over.set(true);
        assert!(fiber::enter(&mut fiber), "it ends when it is told to");
    });
    criterion.bench_function("engine/fiber-begin-end", |bencher| {
        let turns = Rc::new(Cell::new(0_u64));
        let mut stack = Some(Stack::new());
        let mut begun = 0;
        bencher.iter(|| {
            begun += 1;
            let inside = turns.clone();
            let own = stack.take().expect("it was put back");
            let mut fiber = fiber::prepare(own, move |_| inside.set(inside.get() + 1));
            assert!(fiber::enter(&mut fiber), "it ends at once");
            stack = Some(fiber.into_stack());
        });
        assert_eq!(turns.get(), begun, "each fiber runs");
    });
}
