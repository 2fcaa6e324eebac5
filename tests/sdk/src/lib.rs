//! Programs in C and C++ against the SDK: laying it out, compiling, running.
//!
//! Owns the folder `target/sdk-tests`: the prefixes and the compiled programs. Used by the tests of
//! this package, several of which may run at a time: a lock on a file lets one of them build.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2);
    root.expect("this package lies two levels deep").to_owned()
}

/// Where this package's tests put what they build.
///
/// # Panics
///
/// When the folder cannot be made.
#[must_use]
pub fn work_folder() -> PathBuf {
    let folder = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace().join(target),
        None => workspace().join("target"),
    }
    .join("sdk-tests");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The whole one.
    Current,
    /// With the header, the functions and the manners of 1.0.1.
    OneZero,
}

/// The prefix of an SDK, laid out by `cargo xtask sdk` on the first call of a process.
///
/// # Panics
///
/// When it cannot be laid out.
pub fn prefix(release: Release) -> &'static Path {
    static CURRENT: OnceLock<PathBuf> = OnceLock::new();
    static ONE_ZERO: OnceLock<PathBuf> = OnceLock::new();
    let (slot, name) = match release {
        Release::Current => (&CURRENT, "sdk"),
        Release::OneZero => (&ONE_ZERO, "sdk-1.0"),
    };
    slot.get_or_init(|| {
        let _lock = Lock::take();
        let prefix = work_folder().join(name);
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(workspace())
            .args(["run", "--quiet", "--package", "xtask", "--", "sdk"])
            .arg("--prefix")
            .arg(&prefix);
        if release == Release::OneZero {
            command.arg("--only-1.0");
        }
        must_succeed(&mut command);
        prefix
    })
}

/// Held while something is built below [`work_folder`]; other processes wait.
pub struct Lock(#[expect(dead_code, reason = "closing it unlocks")] File);

impl Lock {
    /// Waits for the lock.
    ///
    /// # Panics
    ///
    /// When the file cannot be made.
    #[must_use]
    pub fn take() -> Self {
        let file = File::create(work_folder().join("lock")).expect("the lock file is made");
        file.lock().expect("the file is locked");
        Self(file)
    }
}

/// Which library a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `libllam_runtime.a`.
    Static,
    /// `libllam_runtime.so`, found again through a run path.
    Shared,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Static, Self::Shared];

    /// What the linker is told, for an SDK's prefix.
    #[must_use]
    pub fn link_arguments(self, prefix: &Path) -> Vec<String> {
        let libraries = prefix.join("lib").display().to_string();
        match self {
            Self::Static => vec![format!("{libraries}/libllam_runtime.a")],
            Self::Shared => vec![
                format!("-L{libraries}"),
                "-lllam_runtime".to_owned(),
                format!("-Wl,-rpath,{libraries}"),
            ],
        }
    }
}

/// The C compiler, as the `cc` crate finds it, or the C++ one.
#[must_use]
pub fn compiler(is_cpp: bool) -> Command {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    cc::Build::new()
        .cpp(is_cpp)
        .target(&target)
        .host(&target)
        .opt_level(1)
        .debug(true)
        .cargo_metadata(false)
        .warnings(false)
        .get_compiler()
        .to_command()
}

/// Every warning, as an error.
pub const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Compiles `c/<name>.c` against the SDK, unless that was done since the sources and the SDK last
/// changed, and returns the program.
///
/// # Panics
///
/// When it does not compile.
#[must_use]
pub fn program(name: &str, kind: Kind) -> PathBuf {
    let prefix = prefix(Release::Current);
    let _lock = Lock::take();
    let folder = work_folder().join(format!("{kind:?}").to_lowercase());
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let out = folder.join(name);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let source = sources.join(format!("{name}.c"));
    let mut inputs = files_with(&sources, "h");
    inputs.push(source.clone());
    inputs.extend(files_with(&prefix.join("include/llam"), "h"));
    inputs.push(prefix.join("lib/libllam_runtime.a"));
    if is_newer(&out, &inputs) {
        return out;
    }
    let mut command = compiler(false);
    command
        .args(["-std=c11", "-D_GNU_SOURCE"])
        .args(STRICT)
        .arg("-I")
        .arg(prefix.join("include"))
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .args(kind.link_arguments(prefix))
        .args(["-pthread", "-ldl"]);
    must_succeed(&mut command);
    out
}

/// The files of a folder with this extension, sorted.
///
/// # Panics
///
/// When the folder cannot be read.
#[must_use]
pub fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect();
    files.sort();
    files
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn is_newer(out: &Path, inputs: &[PathBuf]) -> bool {
    let Some(made) = modified(out) else {
        return false;
    };
    inputs
        .iter()
        .all(|input| modified(input).is_some_and(|changed| changed < made))
}

/// Runs a command to its end and shows all it said when it fails.
///
/// # Panics
///
/// When it fails or cannot be started.
pub fn must_succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{} from {command:?}\n{}",
        output.status,
        text_of(&output)
    );
    output
}

/// What a program said on both outputs.
#[must_use]
pub fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether a tool can be started; a line that cannot be overlooked when it cannot.
#[must_use]
pub fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        use std::io::Write;
        // Not by `eprintln`, which the test harness swallows.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no `{name}`");
    }
    found
}

/// The drivers to run programs on: the one that the environment names, else all that work here.
#[must_use]
pub fn drivers() -> Vec<String> {
    match std::env::var("LLAM_IO_BACKEND") {
        Ok(name) if !name.is_empty() => vec![name],
        _ => {
            let mut names = vec!["epoll".to_owned()];
            if has_io_uring() {
                names.push("uring".to_owned());
            } else {
                use std::io::Write;
                let _ = writeln!(std::io::stderr(), "SKIPPED: io_uring is not to be had here");
            }
            names
        }
    }
}

fn has_io_uring() -> bool {
    // A test that starts a runtime, which fails when the driver that is asked for is refused.
    Command::new(program("tasks", Kind::Static))
        .arg("a_yield_lets_others_run")
        .env("LLAM_IO_BACKEND", "uring")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs a command under a time limit; the output of all it started, and whether it succeeded.
///
/// # Panics
///
/// When it cannot be started.
#[must_use]
pub fn run_within(limit: Duration, command: &mut Command) -> Output {
    let mut limited = Command::new("timeout");
    limited
        .arg("--kill-after=5")
        .arg(limit.as_secs().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.output().expect("timeout is there")
}
