//! Every program of `c/`: with the static and with the shared library, on each driver, and under
//! valgrind with one worker.
//!
//! The variables `LLAM_IO_BACKEND` and `LLAM_WORKERS` choose as for all tests of this workspace; without
//! them every driver that works here is used.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use sdk_tests::{
    Kind, Release, drivers, files_with, has_tool, prefix, program, run_within, text_of,
};

/// How long a whole program may take; each of its tests has a shorter limit of its own.
const LIMIT: Duration = Duration::from_secs(180);
const VALGRIND_LIMIT: Duration = Duration::from_secs(900);

/// Programs with a command line of their own.
const OTHERS: [&str; 2] = ["dl", "hostile"];

/// How long the hostile program runs; a minute for each library and driver takes `LLAM_HOSTILE_SECONDS`
/// in the environment.
const HOSTILE_SECONDS: &str = "5";

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if cfg!(target_os = "linux") {
        add_trials(&mut trials);
    } else {
        println!("SKIPPED: SDKs are laid out on Linux only");
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn add_trials(trials: &mut Vec<Trial>) {
    let drivers = drivers();
    let sources = files_with(&Path::new(env!("CARGO_MANIFEST_DIR")).join("c"), "c");
    for source in &sources {
        let name = source.file_stem().expect("a file has a name");
        let name = name.to_string_lossy().into_owned();
        for driver in &drivers {
            for kind in Kind::ALL {
                let (name, driver) = (name.clone(), driver.clone());
                let label = format!("{name}, {kind:?}, {driver}");
                match name.as_str() {
                    "dl" if kind == Kind::Static => {}
                    "dl" => trials.push(Trial::test(label, move || load_at_run_time(&driver))),
                    "hostile" => {
                        trials.push(Trial::test(label, move || be_hostile(kind, &driver)));
                    }
                    _ => trials.push(Trial::test(label, move || plain(&name, kind, &driver))),
                }
            }
        }
        if is_for_valgrind(&name) && drivers.iter().any(|driver| driver == "epoll") {
            let label = format!("{name}, valgrind, epoll");
            trials.push(Trial::test(label, move || under_valgrind(&name)));
        }
    }
}

fn ended_well(limit: Duration, command: &mut Command) -> Result<String, Failed> {
    let output = run_within(limit, command);
    let text = text_of(&output);
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("{} from {command:?}\n{text}", output.status).into())
    }
}

fn plain(name: &str, kind: Kind, driver: &str) -> Result<(), Failed> {
    let mut command = Command::new(program(name, kind));
    command.env("LLAM_IO_BACKEND", driver);
    ended_well(LIMIT, &mut command).map(drop)
}

fn load_at_run_time(driver: &str) -> Result<(), Failed> {
    let library = prefix(Release::Current).join("lib/libllam_runtime.so.2.1.0");
    let mut command = Command::new(program("dl", Kind::Static));
    command.arg(library).env("LLAM_IO_BACKEND", driver);
    ended_well(LIMIT, &mut command).map(drop)
}

fn be_hostile(kind: Kind, driver: &str) -> Result<(), Failed> {
    let seconds = std::env::var("LLAM_HOSTILE_SECONDS");
    let mut command = Command::new(program("hostile", kind));
    command
        .env("LLAM_IO_BACKEND", driver)
        .arg(seconds.as_deref().unwrap_or(HOSTILE_SECONDS));
    let text = ended_well(LIMIT, &mut command)?;
    if text.contains("0 wrong") {
        Ok(())
    } else {
        Err(format!("no verdict in:\n{text}").into())
    }
}

/// Whether the program makes sense on one worker under a tool that is some thirty times slower.
fn is_for_valgrind(name: &str) -> bool {
    let workers = std::env::var("LLAM_WORKERS");
    let wants_several = workers.is_ok_and(|workers| workers != "1");
    let too_long = ["handles", "races"];
    !OTHERS.contains(&name) && !too_long.contains(&name) && !wants_several
}

/// Valgrind knows neither guard regions, which it would read while it unwinds, nor that a thread may
/// wait inside `io_uring_enter`, which it lets block all others.
fn under_valgrind(name: &str) -> Result<(), Failed> {
    if !has_tool("valgrind") {
        return Ok(());
    }
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--error-exitcode=9", "--max-stackframe=32768"])
        .args(["--fair-sched=try"])
        .arg(program(name, Kind::Static))
        .env("LLAM_IO_BACKEND", "epoll")
        .env("LLAM_WORKERS", "1")
        .env("LLAM_STACK_GUARD", "mprotect")
        .env("LLAM_TEST_SECONDS", "300");
    ended_well(VALGRIND_LIMIT, &mut command).map(drop)
}
