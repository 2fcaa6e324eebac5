//! `spawn!`, `try_spawn!`, `#[llam::test]`. What does not compile: `compile_fail.rs`.

mod common;

use common::{Watchdog, run};
use llam::{CancelToken, StackClass, TaskClass, spawn, try_spawn};

#[test]
fn spawn_forms() {
    run(|| {
        assert_eq!(spawn!({ 1 }).join()?, 1);
        let two = 2;
        assert_eq!(spawn!(move { two }).join()?, 2);
        assert_eq!(llam::spawn! { move { two + 1 } }.join()?, 3);
        let class = spawn!(class = TaskClass::Batch, move { llam::task::current_class() });
        assert_eq!(class.join()?, Some(TaskClass::Batch));
        let token = CancelToken::new()?;
        let sleeper = spawn!(
            stack = StackClass::Large,
            cancel = token,
            class = TaskClass::Latency,
            move { llam::time::sleep(std::time::Duration::from_secs(60)) },
        );
        // The token was cloned.
        token.cancel()?;
        assert!(sleeper.join()?.unwrap_err().is_cancelled());
        let by_reference = spawn!(cancel = &token, move { 4 });
        assert_eq!(by_reference.join()?, 4);
        Ok(())
    });
}

#[test]
fn try_spawn_forms() {
    run(|| {
        assert_eq!(try_spawn!({ 1 })?.join()?, 1);
        let name = String::from("x");
        assert_eq!(
            try_spawn!(class = TaskClass::Default, move { name })?.join()?,
            "x"
        );
        Ok(())
    });
}

#[test]
fn a_body_may_return_early() {
    run(|| {
        let half = |n: u32| {
            spawn!(move {
                if n % 2 == 1 {
                    return None;
                }
                Some(n / 2)
            })
        };
        assert_eq!((half(3).join()?, half(4).join()?), (None, Some(2)));
        Ok(())
    });
}

#[llam::test]
fn attribute_without_result() {
    let _watchdog = Watchdog::start();
    assert!(llam::task::current_id().is_some());
}

#[llam::test(profile = "release-fast")]
fn attribute_with_result() -> llam::Result<()> {
    let _watchdog = Watchdog::start();
    assert_eq!(llam::spawn(|| 2).join()?, 2);
    Ok(())
}

#[llam::test(profile = llam::Profile::IoLatency)]
fn attribute_with_an_expression() -> Result<(), String> {
    Ok(())
}

#[llam::test(profile = "DebugSafe")]
#[should_panic(expected = "the test returned an error: reason")]
fn attribute_reports_the_error() -> Result<(), String> {
    Err("reason".into())
}

#[llam::test]
#[should_panic(expected = "out of the task")]
fn attribute_passes_panics_on() {
    panic!("out of the task");
}

#[llam::test(profile = "io_latency")]
#[ignore = "only there to see that attributes are kept"]
fn attribute_keeps_attributes() {
    panic!("ignored tests do not run");
}
