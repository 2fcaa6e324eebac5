//! `#[llam::main]`, as a program: this file is its own child. Without the test harness.

use std::process::Command;
use std::time::Duration;

const ROLE: &str = "LLAM_TEST_ROLE";

#[llam::main(profile = "io-latency")]
fn main() -> llam::Result<()> {
    match std::env::var(ROLE).as_deref() {
        Ok("fails") => Err(llam::Error::from_errno(libc::ENOENT)),
        Ok("succeeds") => {
            // The program ends when every task has ended, not before.
            llam::spawn(|| {
                llam::time::sleep(Duration::from_millis(5)).unwrap();
                println!("last");
            });
            Ok(())
        }
        Ok("panics") => panic!("on purpose"),
        _ => parent(),
    }
}

fn child(role: &str) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    llam::blocking::call(move || Command::new(program).env(ROLE, role).output().unwrap())
        .unwrap()
        .unwrap()
}

fn parent() -> llam::Result<()> {
    assert!(llam::task::current_id().is_some());

    let failed = child("fails");
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&failed.stderr),
        format!(
            "error: No such file or directory (errno={})\n",
            libc::ENOENT
        )
    );

    let succeeded = child("succeeds");
    assert_eq!(succeeded.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&succeeded.stdout), "last\n");

    let panicked = child("panics");
    assert!(!panicked.status.success());
    assert!(String::from_utf8_lossy(&panicked.stderr).contains("on purpose"));
    println!("main attribute: ok");
    Ok(())
}
