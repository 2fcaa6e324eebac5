//! The list of what is built. Read once, by the test program.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The entries that can be measured.
#[derive(Debug, Deserialize)]
pub struct List {
    pub built: Vec<Entry>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub role: Role,
    pub version: String,
    pub command: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Skipped {
    pub name: String,
    pub kind: Kind,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Echo,
    Rt,
    Http,
    Fanout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Peer,
    Limit,
}

impl List {
    /// That of this workspace's target folder. An error says how to make one.
    pub fn read() -> Result<Self, String> {
        let path = path();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!(
                "cannot read {}: {error}; `cargo xtask rivals` makes it",
                path.display()
            )
        })?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn path() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder).join("rivals/rivals.json"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/rivals/rivals.json"),
    }
}
