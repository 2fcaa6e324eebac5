//! The C headers as text: their version, their functions, and the part of them that 1.0.1 had.
//!
//! Reads the regular form the headers of `llam-sys` are kept in: declarations are set apart by blank
//! lines, a prototype begins with `LLAM_API`, a field or constant has its comment on its own line or
//! on the line above.

use std::fmt;
use std::path::Path;

use super::{create_dir, read, remove, write};

/// A release number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The release whose header and symbols `--only-1.0` lays out.
pub(super) const ONE_ZERO: Version = Version {
    major: 1,
    minor: 0,
    patch: 1,
};

/// Types, constants and fields that came after 1.0.1 (`docs/abi.md` sections 1.6 and 2).
const AFTER_ONE_ZERO: &[&str] = &[
    "llam_timer",
    "llam_signal_set",
    "llam_timer_opts",
    "llam_signal_event",
    "llam_signal_opts",
    "llam_iovec",
    "llam_mut_iovec",
    "llam_io_buffer_opts",
    "llam_file_stat",
    "llam_preempt_mode",
    "LLAM_CHANNEL_SELECT_MAX_OPS",
    "LLAM_IO_BUFFER_F_ZERO_FILL",
    "LLAM_FILE_TYPE_",
    "LLAM_TIMER_OPTS_CURRENT_SIZE",
    "LLAM_SIGNAL_OPTS_CURRENT_SIZE",
    "LLAM_IO_BUFFER_OPTS_CURRENT_SIZE",
    "LLAM_FILE_STAT_CURRENT_SIZE",
    "LLAM_PREEMPT_POLL",
    "LLAM_PREEMPT_POLL_EVERY",
    "llam_preempt_poll_every",
];

/// Fields appended to structs of 1.0.1.
const APPENDED_FIELDS: &str = " preempt_";

/// The three headers; `io` is empty for 1.0.1, which had none.
pub(super) struct Headers {
    platform: String,
    runtime: String,
    io: String,
}

impl Headers {
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        Ok(Self {
            platform: read(&folder.join("platform.h"))?,
            runtime: read(&folder.join("runtime.h"))?,
            io: read(&folder.join("io.h"))?,
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        create_dir(folder)?;
        write(&folder.join("platform.h"), &self.platform)?;
        write(&folder.join("runtime.h"), &self.runtime)?;
        if self.io.is_empty() {
            return remove(&folder.join("io.h"));
        }
        write(&folder.join("io.h"), &self.io)
    }

    /// The release that the header says it is.
    pub(super) fn version(&self) -> Result<Version, String> {
        let number = |name: &str| {
            let line = format!("#define LLAM_VERSION_{name} ");
            self.runtime
                .split_once(&line)
                .and_then(|(_, rest)| rest.split('U').next()?.parse().ok())
                .ok_or_else(|| format!("runtime.h has no LLAM_VERSION_{name}"))
        };
        Ok(Version {
            major: number("MAJOR")?,
            minor: number("MINOR")?,
            patch: number("PATCH")?,
        })
    }

    /// The names of the functions that the headers declare, sorted.
    pub(super) fn functions(&self) -> Vec<String> {
        let mut names: Vec<String> = [&self.runtime, &self.io]
            .into_iter()
            .flat_map(|text| text.split("\nLLAM_API ").skip(1))
            .filter_map(function_name)
            .collect();
        names.sort();
        names
    }

    /// These headers as 1.0.1 had them, with `functions` and without `io.h`.
    pub(super) fn only_one_zero(&self, functions: &[String]) -> Result<Self, String> {
        let body = between(&self.io, "struct addrinfo;\n", "#ifdef __cplusplus\n}")?;
        let (head, tail) = self
            .runtime
            .rsplit_once("#ifdef __cplusplus\n}")
            .ok_or("runtime.h does not end its extern \"C\"")?;
        let tail = tail.replace("#include \"io.h\"\n\n", "");
        let whole = format!("{head}{body}#ifdef __cplusplus\n}}{tail}");
        let kept: Vec<String> = whole
            .split("\n\n")
            .filter(|paragraph| belongs_to_one_zero(paragraph, functions))
            .map(without_later_lines)
            .collect();
        let runtime = kept
            .join("\n\n")
            .replace("LLAM_VERSION_MAJOR 2U", "LLAM_VERSION_MAJOR 1U")
            .replace("LLAM_VERSION_MINOR 1U", "LLAM_VERSION_MINOR 0U")
            .replace("LLAM_VERSION_PATCH 0U", "LLAM_VERSION_PATCH 1U")
            .replace("LLAM_ABI_VERSION_MAJOR 2U", "LLAM_ABI_VERSION_MAJOR 1U")
            .replace("LLAM 2.1.0 (ABI 2.0)", "LLAM 1.0.1 (ABI 1.0)")
            .replace(" first and llam/io.h before its end", "");
        let headers = Self {
            platform: self.platform.clone(),
            runtime,
            io: String::new(),
        };
        if headers.functions() != functions {
            return Err("the header reads differently now: 1.0 cannot be cut out of it".to_owned());
        }
        Ok(headers)
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Result<&'a str, String> {
    text.split_once(start)
        .and_then(|(_, rest)| Some(rest.rsplit_once(end)?.0))
        .ok_or_else(|| format!("io.h has no part between `{start}` and `{end}`"))
}

/// The name in `int llam_run(void);` and what follows.
fn function_name(declaration: &str) -> Option<String> {
    let head = declaration.split('(').next()?;
    let name = head.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    name.into_iter().next().map(str::to_owned)
}

fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let next = text[at + name.len()..].chars().next();
        name.ends_with('_') || !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Whether a declaration, with its comment, is one that 1.0.1 had.
fn belongs_to_one_zero(paragraph: &str, functions: &[String]) -> bool {
    if let Some((_, declaration)) = paragraph.split_once("LLAM_API ") {
        return function_name(declaration).is_some_and(|name| functions.contains(&name));
    }
    let declared = if paragraph.contains("typedef ") {
        paragraph
            .trim_end()
            .trim_end_matches(';')
            .rsplit([' ', '*'])
            .next()
            .map(|name| name.trim_end_matches("_t").to_owned())
    } else {
        paragraph
            .split_once("static inline ")
            .and_then(|(_, definition)| function_name(definition))
    };
    !declared.is_some_and(|name| AFTER_ONE_ZERO.contains(&name.as_str()))
}

/// The paragraph without the lines that declare later constants and fields, nor their comments.
fn without_later_lines(paragraph: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut continues = false;
    for line in paragraph.lines() {
        let is_define = line.starts_with("#define ");
        let is_later = continues
            || is_define && AFTER_ONE_ZERO.iter().any(|name| mentions(line, name))
            || line.starts_with("    uint") && line.contains(APPENDED_FIELDS);
        continues = is_later && line.ends_with('\\');
        if !is_later {
            kept.push(line);
            continue;
        }
        let comment_above = kept.last().is_some_and(|last| {
            let last = last.trim_start();
            last.starts_with("/**") && !last.starts_with("/**<") && last.ends_with("*/")
        });
        if comment_above && !line.contains("/**<") {
            kept.pop();
        }
    }
    kept.join("\n")
}

/// The functions that the contract marks as 1.0, sorted.
pub(super) fn one_zero_functions(contract: &Path) -> Result<Vec<String>, String> {
    let text = read(contract)?;
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("#### `")?;
            let (name, since) = rest.split_once('`')?;
            since.trim().ends_with("1.0").then(|| name.to_owned())
        })
        .collect();
    names.sort();
    if names.len() != 90 {
        return Err(format!(
            "{} has {} functions of 1.0, not 90",
            contract.display(),
            names.len()
        ));
    }
    Ok(names)
}
