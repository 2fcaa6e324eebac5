//! `cargo xtask sdk`: the engine as a C SDK, laid out as appendix B of `docs/abi.md` says.
//!
//! Owns the layout below the prefix and the two link steps. Both libraries are made from one
//! relocatable object in which every symbol but the public functions is local: so the static library
//! links beside other Rust static libraries, and the shared one exports the functions and nothing
//! else. Linux only, with the binutils that a C compiler brings along.

mod header;
mod one_zero;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use header::Version;

/// What the command line asks for.
struct Request {
    prefix: PathBuf,
    /// Lay out an SDK 1.0.1: its header, its 90 functions, its behaviour where the binding sees it.
    only_one_zero: bool,
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut prefix = None;
    let mut only_one_zero = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--prefix" => match rest.next() {
                Some(value) if !value.is_empty() => prefix = Some(PathBuf::from(value)),
                _ => return Err("--prefix needs a folder".to_owned()),
            },
            "--only-1.0" => only_one_zero = true,
            other => match other.strip_prefix("--prefix=") {
                Some(value) if !value.is_empty() => prefix = Some(PathBuf::from(value)),
                _ => {
                    return Err(format!(
                        "sdk does not know `{other}`; see cargo xtask --help"
                    ));
                }
            },
        }
    }
    let prefix = prefix.ok_or("sdk needs --prefix DIR: the folder to lay the SDK out in")?;
    Ok(Request {
        prefix,
        only_one_zero,
    })
}

/// The command.
pub(crate) fn main(arguments: &[String]) -> Result<(), String> {
    let request = parse(arguments)?;
    if !cfg!(target_os = "linux") {
        return Err("sdk can lay out Linux libraries only, and only on Linux".to_owned());
    }
    let root = workspace_root();
    let headers = header::Headers::read(&root.join("llam-sys/include/llam"))?;
    let (headers, version) = if request.only_one_zero {
        let functions = header::one_zero_functions(&root.join("docs/abi.md"))?;
        (headers.only_one_zero(&functions)?, header::ONE_ZERO)
    } else {
        let version = headers.version()?;
        (headers, version)
    };

    let functions = headers.functions();
    let work = root.join("target/sdk-work");
    create_dir(&work)?;
    let object = relocatable_object(&root, &work, &functions, request.only_one_zero)?;

    headers.write(&request.prefix.join("include/llam"))?;
    let libraries = request.prefix.join("lib");
    static_library(&object, &libraries)?;
    shared_library(&object, &libraries, version)?;
    package_files(&request.prefix, version)?;
    copy(
        &root.join("LICENSE"),
        &request.prefix.join("share/llam/LICENSE"),
    )?;
    copy(
        &root.join("docs/abi.md"),
        &request.prefix.join("share/llam/abi.md"),
    )?;
    println!(
        "LLAM {version} with {} functions in {}",
        functions.len(),
        request.prefix.display()
    );
    Ok(())
}

/// The folder of the workspace, whatever the current folder is.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}

/// Compiles the engine and leaves one object whose only global definitions are `functions`.
fn relocatable_object(
    root: &Path,
    work: &Path,
    functions: &[String],
    only_one_zero: bool,
) -> Result<PathBuf, String> {
    run(Command::new(cargo())
        .current_dir(root)
        .args(["rustc", "--quiet", "--package", "llam-runtime"])
        .args(["--profile", "sdk", "--crate-type", "staticlib"]))?;
    let archive = target_dir(root).join("sdk/libllam_runtime.a");

    let list = work.join("functions.txt");
    write(&list, &(functions.join("\n") + "\n"))?;
    let linked = work.join("linked.o");
    let mut link = Command::new("ld");
    link.args(["-r", "--gc-sections", "--force-group-allocation"]);
    if only_one_zero {
        let engine = one_zero::renamed_engine(&archive, work)?;
        link.args(functions.iter().map(|name| format!("--undefined={name}")));
        link.arg("-o").arg(&linked).args(engine);
    } else {
        link.args(functions.iter().map(|name| format!("--undefined={name}")));
        link.arg("-o").arg(&linked).arg(&archive);
    }
    run(&mut link)?;

    // Bitcode that the standard library's objects carry confuses tools with an LLVM plugin.
    let object = work.join("llam_runtime.o");
    run(Command::new("objcopy")
        .args(["--strip-debug", "-R", ".llvmbc", "-R", ".llvmcmd"])
        .arg(format!("--keep-global-symbols={}", list.display()))
        .arg(&linked)
        .arg(&object))?;
    Ok(object)
}

fn static_library(object: &Path, libraries: &Path) -> Result<(), String> {
    create_dir(libraries)?;
    let archive = libraries.join("libllam_runtime.a");
    // `ar` adds to an archive that is there already.
    remove(&archive)?;
    run(Command::new("ar").arg("rcsD").arg(archive).arg(object))
}

/// Links `libllam_runtime.so.<version>` and makes the two links that lead to it.
///
/// `nodelete`: the engine's threads and thread-local values may outlive a `dlclose`.
fn shared_library(object: &Path, libraries: &Path, version: Version) -> Result<(), String> {
    for old in files_beginning_with(libraries, "libllam_runtime.so")? {
        remove(&old)?;
    }
    let soname = format!("libllam_runtime.so.{}", version.major);
    let file = format!("libllam_runtime.so.{version}");
    run(Command::new("cc")
        .args(["-shared", "-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,nodelete"])
        .args(["-Wl,-z,defs", "-Wl,--gc-sections", "-Wl,--strip-all"])
        // Its own calls stay inside when a program brings functions of the same names.
        .arg("-Wl,-Bsymbolic")
        .arg(format!("-Wl,-soname,{soname}"))
        .arg("-o")
        .arg(libraries.join(&file))
        .arg(object)
        .args(["-lgcc_s", "-lm", "-lpthread", "-ldl", "-lc"]))?;
    link_to(&file, &libraries.join(&soname))?;
    link_to(&soname, &libraries.join("libllam_runtime.so"))
}

fn package_files(prefix: &Path, version: Version) -> Result<(), String> {
    let fill = |text: &str| {
        text.replace("@VERSION@", &version.to_string())
            .replace("@MAJOR@", &version.major.to_string())
            .replace("@POINTER@", &size_of::<usize>().to_string())
    };
    let pkgconfig = prefix.join("lib/pkgconfig");
    let cmake = prefix.join("lib/cmake/llam");
    create_dir(&pkgconfig)?;
    create_dir(&cmake)?;
    write(
        &pkgconfig.join("llam.pc"),
        &fill(include_str!("../sdk/llam.pc.in")),
    )?;
    for (name, text) in [
        (
            "llam-config.cmake",
            include_str!("../sdk/llam-config.cmake"),
        ),
        (
            "llam-config-version.cmake",
            include_str!("../sdk/llam-config-version.cmake.in"),
        ),
        (
            "llam-targets.cmake",
            include_str!("../sdk/llam-targets.cmake"),
        ),
        (
            "llam-targets-release.cmake",
            include_str!("../sdk/llam-targets-release.cmake.in"),
        ),
    ] {
        write(&cmake.join(name), &fill(text))?;
    }
    Ok(())
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}

/// Runs a program to its end; an error tells which and with what.
fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let shown: String = shown.chars().take(300).collect();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{status} from {shown}")),
        Err(error) => Err(format!(
            "{} cannot be started ({error}); the SDK needs a C compiler and its binutils: {shown}",
            command.get_program().display()
        )),
    }
}

/// The names of the global functions that an object defines.
fn defined_symbols(object: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("nm")
        .args(["--defined-only", "--extern-only", "--format=posix"])
        .arg(object)
        .output()
        .map_err(|error| format!("nm cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "nm cannot read {}: {}",
            object.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            (words.next()? == "T").then(|| name.to_owned())
        })
        .collect())
}

pub(crate) fn create_dir(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    create_dir(to.parent().expect("a file below the prefix has a folder"))?;
    fs::copy(from, to).map(drop).map_err(|error| {
        format!(
            "{} cannot be copied to {}: {error}",
            from.display(),
            to.display()
        )
    })
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

fn files_beginning_with(folder: &Path, start: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(start)
        })
        .collect())
}

/// Makes `link` a symbolic link to `file` beside it, in place of what was there.
fn link_to(file: &str, link: &Path) -> Result<(), String> {
    remove(link)?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(file, link)
        .map_err(|error| format!("the link {} cannot be made: {error}", link.display()))?;
    #[cfg(not(unix))]
    let _ = (file, link);
    Ok(())
}
