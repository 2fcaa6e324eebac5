//! A full stack names its task and ends the process. Without the test harness: this file is its own
//! child.

use std::process::Command;

const ROLE: &str = "LLAM_TEST_ROLE";

/// Uses stack until there is none.
fn dig(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    dig(depth + 1) + frame[(depth % 64) as usize]
}

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    if std::env::var(ROLE).is_ok() {
        let result = llam::run(|| {
            llam::task::Builder::new()
                .name("the-digger")
                .stack_size(llam::StackClass::Large)
                .spawn(|| dig(0))?
                .join()?;
            Ok(())
        });
        panic!("a full stack went unnoticed: {result:?}");
    }
    for guard in ["", "mprotect"] {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.env(ROLE, "overflow");
        if !guard.is_empty() {
            command.env("LLAM_STACK_GUARD", guard);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        if llam::sys::ext::IS_BUNDLED {
            assert!(text.contains("the-digger"), "the task's name: {text}");
        }
        assert!(
            text.to_lowercase().contains("stack"),
            "what happened: {text}"
        );
        assert!(!text.contains("went unnoticed"), "{text}");
    }
    println!("overflow: ok");
}
