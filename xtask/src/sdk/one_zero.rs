//! The engine with the behaviour of LLAM 1.0.1 in front (`xtask/sdk/one_zero.c`).
//!
//! Owns the renaming: each function that the C file defines is called `engine_<name>` in the engine,
//! so that the two can be linked into one object.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{defined_symbols, run, workspace_root, write};

/// The two inputs of the link: the C file's object and the archive with the renamed functions.
pub(super) fn renamed_engine(archive: &Path, work: &Path) -> Result<Vec<PathBuf>, String> {
    let root = workspace_root();
    let object = work.join("one_zero.o");
    run(Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
        .args(["-O2", "-fPIC", "-c"])
        .arg(root.join("xtask/sdk/one_zero.c"))
        .arg("-I")
        .arg(root.join("llam-sys/include"))
        .arg("-o")
        .arg(&object))?;

    let renames: Vec<String> = defined_symbols(&object)?
        .iter()
        .map(|name| format!("{name} engine_{name}\n"))
        .collect();
    let list = work.join("renames.txt");
    write(&list, &renames.concat())?;
    let engine = work.join("engine.a");
    run(Command::new("objcopy")
        .arg(format!("--redefine-syms={}", list.display()))
        .args(["-R", ".llvmbc", "-R", ".llvmcmd"])
        .arg(archive)
        .arg(&engine))?;
    Ok(vec![object, engine])
}
