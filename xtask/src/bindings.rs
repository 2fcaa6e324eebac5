//! `cargo xtask bindings`: the Rust declarations of the C ABI, and whether everything agrees on it.
//!
//! Owns the checked-in `llam-sys/src/bindings.rs`, which it writes, and the comparison of the five
//! places that state the ABI:
//!
//! ```text
//!   docs/abi.md ──(names)── headers ──(bindgen)── bindings ──(signatures)── engine ──(nm)── symbols
//! ```
//!
//! `--check` changes nothing, runs every comparison, and prints one line per difference.

mod contract;
mod format;
#[path = "../../llam-sys/build/generate.rs"]
mod generate;
mod signatures;
mod symbols;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

/// The file that is generated, in the workspace.
const BINDINGS: &str = "llam-sys/src/bindings.rs";

/// Runs the command: regenerates, or checks.
pub(crate) fn main(arguments: &[String]) -> Result<(), String> {
    let root = workspace();
    match arguments {
        [] => write(&root),
        [flag] if flag == "--check" => check(&root),
        _ => Err("usage: cargo xtask bindings [--check]".to_owned()),
    }
}

/// The directory of the workspace.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// What the header gives now, as it is checked in.
fn generated(root: &Path) -> Result<String, String> {
    let raw = generate::generate(&root.join("llam-sys").join("include"))?;
    format::checked_in(&raw, &root.join("rustfmt.toml"))
}

fn write(root: &Path) -> Result<(), String> {
    let text = generated(root)?;
    let path = root.join(BINDINGS);
    fs::write(&path, text)
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    println!("wrote {BINDINGS}");
    Ok(())
}

fn check(root: &Path) -> Result<(), String> {
    let bindings = read(&root.join(BINDINGS))?;
    let mut differences = Vec::new();
    let mut note = |outcome: Result<Vec<String>, String>| match outcome {
        Ok(found) => differences.extend(found),
        Err(message) => differences.push(message),
    };
    note(generated(root).map(|fresh| text::differences(&bindings, &fresh)));
    note(contract::differences(root));
    note(signatures::differences(root, &bindings));
    note(symbols::differences(root));
    if differences.is_empty() {
        println!("headers, bindings, engine and exported symbols agree");
        return Ok(());
    }
    Err(format!(
        "the statements of the ABI differ:\n  {}",
        differences.join("\n  ")
    ))
}

/// One line per name that only one of two lists has.
fn compare_names(
    (left_place, left): (&str, &[String]),
    (right_place, right): (&str, &[String]),
) -> Vec<String> {
    let only = |place, list: &[String], other: &[String], missing| {
        list.iter()
            .filter(|name| !other.contains(name))
            .map(|name| format!("`{name}`: in {place}, not in {missing}"))
            .collect::<Vec<_>>()
    };
    let mut lines = only(left_place, left, right, right_place);
    lines.extend(only(right_place, right, left, left_place));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_that_differ_are_told_from_both_sides() {
        let lines = compare_names(
            ("A", &names(&["llam_run", "llam_old"])),
            ("B", &names(&["llam_run", "llam_new"])),
        );
        assert_eq!(
            lines,
            ["`llam_old`: in A, not in B", "`llam_new`: in B, not in A"]
        );
    }

    #[test]
    fn the_checked_in_bindings_are_those_of_the_header() {
        let root = workspace();
        match generated(&root) {
            Ok(fresh) => {
                let checked_in = read(&root.join(BINDINGS)).expect("it is checked in");
                let lines = text::differences(&checked_in, &fresh);
                assert!(lines.is_empty(), "{lines:#?}");
            }
            Err(message) if message.contains("no libclang") => println!("skipped: {message}"),
            Err(message) => panic!("{message}"),
        }
    }
}
