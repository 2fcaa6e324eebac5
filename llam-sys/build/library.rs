//! The library file of an SDK: its name, and the machine it was made for.
//!
//! Reads just enough of ELF files and of `ar` archives to tell a wrong architecture apart before the
//! linker does; other formats are left to the linker.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::Path;

use crate::sdk::Kind;

/// Whether a library can be linked for the target.
pub(crate) enum Fit {
    Same,
    Other {
        found: String,
        wanted: String,
    },
    /// A function that the header declares is not in it.
    Lacks(&'static str),
    /// A format that is not looked into.
    Unknown,
    Unreadable(String),
}

/// The target's operating system, as cargo calls it.
pub(crate) fn target_os() -> String {
    env::var("CARGO_CFG_TARGET_OS").unwrap_or_default()
}

/// The file that the linker would take.
pub(crate) fn file_name(name: &str, kind: Kind) -> String {
    let is_msvc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "msvc");
    match (target_os().as_str(), kind) {
        ("windows", Kind::Static) if is_msvc => format!("{name}.lib"),
        ("windows", Kind::Dylib) if is_msvc => format!("{name}_shared.lib"),
        ("macos" | "ios", Kind::Dylib) => format!("lib{name}.dylib"),
        ("windows", Kind::Dylib) => format!("lib{name}.dll.a"),
        (_, Kind::Dylib) => format!("lib{name}.so"),
        (_, Kind::Static) => format!("lib{name}.a"),
    }
}

/// Compares the machine that the file was made for with the target, and looks for `functions`.
pub(crate) fn fit(path: &Path, kind: Kind, functions: &[&'static str]) -> Fit {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Fit::Unreadable(error.to_string()),
    };
    let is_archive = bytes.starts_with(b"!<arch>\n");
    if target_os() == "linux" && kind == Kind::Static && !is_archive {
        return Fit::Unreadable("not an archive, which a static library is".to_owned());
    }
    let object = if is_archive {
        match first_object(&bytes) {
            Some(object) => object,
            None => return Fit::Unreadable("an archive without an object".to_owned()),
        }
    } else if bytes.is_empty() {
        return Fit::Unreadable("an empty file".to_owned());
    } else {
        &bytes[..]
    };
    let Some(found) = machine(object) else {
        return match target_os().as_str() {
            "linux" => {
                Fit::Unreadable("neither an archive of ELF objects nor an ELF file".to_owned())
            }
            _ => Fit::Unknown,
        };
    };
    let wanted = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if found != wanted && (!found.starts_with("machine") || is_known(&wanted)) {
        return Fit::Other { found, wanted };
    }
    // In tables of symbols each name ends in a zero byte.
    let names: HashSet<&[u8]> = bytes
        .split(|&byte| byte == 0)
        .filter(|name| name.starts_with(b"llam_"))
        .collect();
    match functions
        .iter()
        .find(|function| !names.contains(function.as_bytes()))
    {
        Some(function) => Fit::Lacks(function),
        None => Fit::Same,
    }
}

/// The first member of an archive that is neither its symbol table nor its table of names.
fn first_object(archive: &[u8]) -> Option<&[u8]> {
    const HEADER: usize = 60;
    let mut rest = archive.get(8..)?;
    loop {
        let header = rest.get(..HEADER)?;
        let size: usize = std::str::from_utf8(&header[48..58])
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let body = rest.get(HEADER..HEADER + size)?;
        if header[0] != b'/' && !header.starts_with(b"__.SYMDEF") {
            return Some(body);
        }
        // Members begin at even offsets.
        rest = rest.get(HEADER + size + size % 2..)?;
    }
}

const MACHINES: &[(u16, u8, &str)] = &[
    (62, 2, "x86_64"),
    (62, 1, "x86"),
    (3, 1, "x86"),
    (183, 2, "aarch64"),
    (40, 1, "arm"),
    (243, 2, "riscv64"),
    (243, 1, "riscv32"),
    (21, 2, "powerpc64"),
    (22, 2, "s390x"),
    (258, 2, "loongarch64"),
];

fn is_known(arch: &str) -> bool {
    MACHINES.iter().any(|&(_, _, name)| name == arch)
}

/// The architecture that an ELF file is for, as cargo calls it; `None` for other formats.
fn machine(object: &[u8]) -> Option<String> {
    if !object.starts_with(b"\x7fELF") {
        return None;
    }
    let class = *object.get(4)?;
    let bytes = [*object.get(18)?, *object.get(19)?];
    let number = match object.get(5)? {
        2 => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    };
    let name = MACHINES
        .iter()
        .find(|&&(machine, bits, _)| machine == number && bits == class)
        .map_or_else(
            || format!("machine {number}"),
            |&(_, _, name)| name.to_owned(),
        );
    Some(name)
}
