//! The symbols that the engine exports as a shared library against the contract's list (Linux).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{compare_names, contract, read};

/// One line per function of the contract that is not exported, and per symbol that is not of it.
pub(crate) fn differences(root: &Path) -> Result<Vec<String>, String> {
    if !cfg!(target_os = "linux") {
        println!("exported symbols: not checked, this is done on Linux alone");
        return Ok(Vec::new());
    }
    let library = build(root)?;
    let listing = run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library))?;
    let exported = exported(&listing);
    let contract = contract::names(&read(&root.join("docs/abi.md"))?)?;
    Ok(compare_names(
        ("docs/abi.md", &contract),
        ("the exported symbols", &exported),
    ))
}

/// Builds the shared library and says where it is.
fn build(root: &Path) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = "rustc --quiet --package llam-runtime --release --crate-type cdylib";
    run(Command::new(cargo)
        .args(arguments.split(' '))
        .current_dir(root))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join("libllam_runtime.so"))
}

/// The standard output of a program that succeeds.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} fails: {}", messages.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names in a listing of `nm -D --defined-only`, without symbol versions.
fn exported(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .map(|name| name.split('@').next().unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_listing() {
        let listing = "\
000000000002b9c0 T llam_abi_version
000000000002b9d0 T llam_run@@LLAM_2.0
0000000000000000 D other
";
        assert_eq!(exported(listing), ["llam_abi_version", "llam_run", "other"]);
    }
}
