//! `llam::diagnostics`.

mod common;

use std::io::Read;

use common::{alone, run, until};
use llam::diagnostics;

/// What `write` writes into a descriptor.
fn capture(write: impl FnOnce(&std::fs::File)) -> String {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("llam-text-{}-{number}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    write(&file);
    let mut text = String::new();
    std::fs::File::open(&path)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    text
}

#[test]
fn a_dump_shows_each_task() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let waiter = llam::task::Builder::new()
            .name("in-a-dump")
            .spawn(move || rx.recv())?;
        until("the task parks", || {
            waiter.state_name().as_deref() == Some("PARKED")
        });
        let text = capture(diagnostics::dump_runtime_state);
        let id = waiter.id().unwrap();
        for part in [
            "runtime:",
            "lifecycle:",
            "tasks:",
            if llam::sys::ext::IS_BUNDLED {
                "in-a-dump"
            } else {
                "tasks:"
            },
            "wait=channel_recv",
            &format!("id={id} state=PARKED"),
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        tx.send(())?;
        waiter.join()??;
        Ok(())
    });
}

#[test]
fn stats_are_json_also_without_a_runtime() {
    let _turn = alone();
    let text = capture(|file| diagnostics::write_stats_json(file).unwrap());
    assert!(
        text.starts_with("{\"ctx_switches\":0,") && text.ends_with("}\n"),
        "{text}"
    );
    let error = diagnostics::write_stats_json_fd(-1).unwrap_err();
    assert_eq!(error.errno(), libc::EINVAL);
    diagnostics::dump_runtime_state_fd(-1);
    let text = capture(diagnostics::dump_runtime_state);
    assert!(!text.is_empty());
}
