//! The committed counts, what they were taken with, and how far a count may be from them.
//!
//! Owns `benches/instructions.json`. One build's counts repeat to a tenth of an instruction, on a busy
//! machine as on an idle one (nine runs of the rows that arm timers or wait for the kernel, three of them
//! beside two busy loops). What is left is code that an unrelated change makes the compiler place
//! otherwise: a thread more in `llam-micro` moved one row by +0.9 %, another by -0.9 %, twelve not at all.
//! Hence [`NARROW`], some three times that. Another compiler inlines otherwise, and another C library
//! allocates otherwise: then the check says so, goes on with [`WIDE`], and does not ask for an update
//! when a count is lower.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The file, in the workspace.
pub(super) const FILE: &str = "benches/instructions.json";

/// With the toolchain of the baseline.
const NARROW: Tolerance = Tolerance {
    percent: 3.0,
    instructions: 1.0,
    may_be_lower: false,
};
/// With another compiler or C library: only what no inlining explains.
const WIDE: Tolerance = Tolerance {
    percent: 15.0,
    instructions: 10.0,
    may_be_lower: true,
};

/// What the counts depend on besides this workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Toolchain {
    architecture: String,
    /// As `rustc --version` prints it.
    rustc: String,
    /// As `getconf GNU_LIBC_VERSION` prints it.
    libc: String,
}

impl Toolchain {
    pub(super) fn here(root: &Path) -> Result<Self, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let line = |command: &mut Command| {
            let output = command.current_dir(root).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        Ok(Self {
            architecture: std::env::consts::ARCH.to_owned(),
            rustc: line(Command::new(&rustc).arg("--version"))
                .ok_or_else(|| format!("`{} --version` fails", rustc.display()))?,
            libc: line(Command::new("getconf").arg("GNU_LIBC_VERSION"))
                .unwrap_or_else(|| "another C library".to_owned()),
        })
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    toolchain: Toolchain,
    instructions_per_operation: BTreeMap<String, f64>,
}

impl Baseline {
    /// Counts with one digit after the point: the next one does not repeat.
    pub(super) fn of(toolchain: Toolchain, counts: impl Iterator<Item = (String, f64)>) -> Self {
        let rounded = |count: f64| (count * 10.0).round() / 10.0;
        Self {
            toolchain,
            instructions_per_operation: counts
                .map(|(name, count)| (name, rounded(count)))
                .collect(),
        }
    }

    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let path = root.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("`{}` is not a baseline: {error}", path.display()))
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), String> {
        let path = root.join(FILE);
        let text = serde_json::to_string_pretty(self).expect("strings and numbers have a form");
        fs::write(&path, text + "\n")
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        println!("wrote {FILE}");
        Ok(())
    }

    /// This one with the rows of `fresh` in place of its own.
    pub(super) fn merged(mut self, fresh: Self) -> Result<Self, String> {
        if self.toolchain != fresh.toolchain {
            return Err(format!(
                "the other rows of {FILE} are from {}; update all of them together",
                self.toolchain
            ));
        }
        self.instructions_per_operation
            .extend(fresh.instructions_per_operation);
        Ok(self)
    }

    pub(super) fn row(&self, name: &str) -> Option<f64> {
        self.instructions_per_operation.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.instructions_per_operation.keys().map(String::as_str)
    }

    /// Why this cannot be compared with counts of this machine at all.
    pub(super) fn other_architecture(&self, here: &Toolchain) -> Option<String> {
        let own = &self.toolchain.architecture;
        (*own != here.architecture)
            .then(|| format!("the baseline is of {own}, this is {}", here.architecture))
    }

    /// What to say when the counts are of another toolchain.
    pub(super) fn other_toolchain(&self, here: &Toolchain) -> Option<String> {
        (self.toolchain != *here).then(|| {
            format!(
                "the baseline is from {}, this is {here}: rows may differ by {WIDE}, \
                 and lower ones are not told of",
                self.toolchain
            )
        })
    }

    pub(super) fn tolerance(&self, here: &Toolchain) -> Tolerance {
        if self.toolchain == *here {
            NARROW
        } else {
            WIDE
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            architecture,
            rustc,
            libc,
        } = self;
        write!(formatter, "{rustc}, {libc}, {architecture}")
    }
}

/// How far a count may be from the baseline: so many percent of it, and so many instructions more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    percent: f64,
    instructions: f64,
    may_be_lower: bool,
}

impl fmt::Display for Tolerance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} % and {} instruction(s)",
            self.percent, self.instructions
        )
    }
}

impl Tolerance {
    pub(super) fn judge(self, before: f64, now: f64) -> Verdict {
        let distance = before * self.percent / 100.0 + self.instructions;
        if now > before + distance {
            Verdict::Above { before, now }
        } else if now < before - distance && !self.may_be_lower {
            Verdict::Below { before, now }
        } else {
            Verdict::Within
        }
    }
}

/// The change from one count to another, in percent; nothing is `+0.0 %`, from either side.
pub(super) fn change(before: f64, now: f64) -> String {
    let tenths = ((now / before - 1.0) * 1000.0).round();
    format!("{:+.1} %", tenths / 10.0 + 0.0)
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Within,
    Above {
        before: f64,
        now: f64,
    },
    /// Good, but unless it is recorded the next loss goes unseen.
    Below {
        before: f64,
        now: f64,
    },
    /// The baseline does not have it.
    Unknown,
}

impl Verdict {
    pub(super) fn problem(self, row: &str) -> Option<String> {
        let change = |before: f64, now: f64| {
            let change = change(before, now);
            format!("{now:.1} instructions per operation, {change} against {before:.1}")
        };
        match self {
            Self::Within => None,
            Self::Above { before, now } => Some(format!("{row}: slower: {}", change(before, now))),
            Self::Below { before, now } => Some(format!(
                "{row}: faster: {}; record it, so that it is kept",
                change(before, now)
            )),
            Self::Unknown => Some(format!("{row}: not in the baseline yet")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(rustc: &str) -> Toolchain {
        Toolchain {
            architecture: "x86_64".to_owned(),
            rustc: rustc.to_owned(),
            libc: "glibc 2.36".to_owned(),
        }
    }

    fn baseline(rustc: &str, counts: &[(&str, f64)]) -> Baseline {
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count));
        Baseline::of(toolchain(rustc), counts)
    }

    #[test]
    fn rows_are_judged_from_both_sides() {
        // 3 % of 200 and one more.
        assert_eq!(NARROW.judge(200.0, 207.0), Verdict::Within);
        assert_eq!(NARROW.judge(200.0, 193.0), Verdict::Within);
        let slower = NARROW.judge(200.0, 208.0).problem("row");
        let said = "row: slower: 208.0 instructions per operation, +4.0 % against 200.0";
        assert_eq!(slower.as_deref(), Some(said));
        let faster = NARROW.judge(200.0, 150.0).problem("row");
        assert!(faster.is_some_and(|text| text.contains("faster") && text.contains("-25.0 %")));
    }

    #[test]
    fn changes_are_rounded_and_nothing_has_one_form() {
        assert_eq!(change(200.0, 199.99), "+0.0 %");
        assert_eq!(change(200.0, 200.01), "+0.0 %");
        assert_eq!(change(200.0, 150.0), "-25.0 %");
        assert_eq!(change(200.0, 203.0), "+1.5 %");
    }

    #[test]
    fn another_compiler_widens_the_tolerance_and_is_told_of() {
        let stored = baseline("rustc 1.95.0", &[("row", 200.0)]);
        assert_eq!(stored.other_toolchain(&toolchain("rustc 1.95.0")), None);
        let other = toolchain("rustc 1.96.0");
        let note = stored.other_toolchain(&other).expect("it differs");
        assert!(note.contains("rustc 1.95.0") && note.contains("rustc 1.96.0"));
        let tolerance = stored.tolerance(&other);
        assert_eq!(tolerance.judge(200.0, 239.0), Verdict::Within);
        assert_eq!(tolerance.judge(200.0, 100.0), Verdict::Within);
        assert!(matches!(
            tolerance.judge(200.0, 241.0),
            Verdict::Above { .. }
        ));
    }

    #[test]
    fn another_architecture_is_not_compared() {
        let stored = baseline("rustc 1.95.0", &[]);
        let mut other = toolchain("rustc 1.95.0");
        assert_eq!(stored.other_architecture(&other), None);
        other.architecture = "aarch64".to_owned();
        assert!(stored.other_architecture(&other).is_some());
    }

    #[test]
    fn single_rows_are_merged_on_one_toolchain_only() {
        let stored = || baseline("rustc 1.95.0", &[("a", 1.0), ("b", 2.0)]);
        let merged = stored().merged(baseline("rustc 1.95.0", &[("b", 3.04)]));
        let expected = baseline("rustc 1.95.0", &[("a", 1.0), ("b", 3.0)]);
        assert_eq!(merged, Ok(expected));
        assert!(
            stored()
                .merged(baseline("rustc 1.96.0", &[("b", 3.0)]))
                .is_err()
        );
    }

    #[test]
    fn the_committed_file_is_a_baseline() {
        let stored = Baseline::read(&crate::sdk::workspace_root()).expect("it is committed");
        assert!(stored.names().count() > 0);
        assert!(
            stored
                .instructions_per_operation
                .values()
                .all(|&count| count >= 1.0)
        );
    }
}
