//! `cargo xtask rivals`: builds what llam is measured against, as far as this machine allows.
//!
//! Owns the order of work and `target/rivals/rivals.json`, from which `llam-bench compare` knows what there
//! is. What cannot be built or does not start is listed there, with the reason; it is no error of the command.
//! Nothing of this is part of the default build: the rivals are a workspace of their own.
//!
//! | file | holds |
//! |---|---|
//! | `entries` | the table of rivals |
//! | `build` | the commands that build them |
//! | `start` | whether a built server starts |

mod build;
mod entries;
mod start;

use crate::sdk;
use build::Builder;
use entries::{ENTRIES, Entry};
use serde_json::{Value, json};
use std::path::Path;

/// The command.
pub(crate) fn main(arguments: &[String]) -> Result<(), String> {
    let only = parse(arguments)?;
    let root = sdk::workspace_root();
    let output = sdk::target_dir(&root).join("rivals");
    sdk::create_dir(&output)?;
    // Programs are found by whole paths, wherever they are started from.
    let output = output
        .canonicalize()
        .map_err(|error| format!("{} cannot be found: {error}", output.display()))?;
    let list = output.join("rivals.json");
    let is_chosen = |entry: &&Entry| only.is_empty() || only.iter().any(|name| name == entry.name);
    let mut found = if only.is_empty() {
        Found::default()
    } else {
        Found::read_without(&list, &only)?
    };
    let mut builder = Builder::new(root.join("benches/rivals"), output)?;
    for entry in ENTRIES.iter().filter(is_chosen) {
        found.add(entry, make(&mut builder, entry));
    }
    found.sort();
    found.write(&list)?;
    found.print(&list);
    Ok(())
}

/// The names to build; none means all.
fn parse(arguments: &[String]) -> Result<Vec<String>, String> {
    let mut only = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = match argument.as_str() {
            "--only" => rest.next().map(String::as_str),
            other => other.strip_prefix("--only="),
        };
        let Some(name) = name else {
            return Err(format!(
                "rivals does not know `{argument}`, or its value is missing; see cargo xtask --help"
            ));
        };
        if !ENTRIES.iter().any(|entry| entry.name == name) {
            let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
            names.sort_unstable();
            names.dedup();
            return Err(format!(
                "there is no rival `{name}`; there are {}",
                names.join(", ")
            ));
        }
        only.push(name.to_owned());
    }
    Ok(only)
}

/// Builds an entry and sees a server start. The value is how `rivals.json` describes it.
fn make(builder: &mut Builder, entry: &Entry) -> Result<Value, String> {
    let program = builder.build(entry)?;
    build::present(&program.path)?;
    let mut command = vec![program.path.display().to_string()];
    command.extend(
        entry
            .arguments
            .iter()
            .map(|argument| (*argument).to_owned()),
    );
    if entry.kind.is_server() {
        start::see_it_listen(&command)?;
    }
    Ok(json!({
        "name": entry.name,
        "kind": entry.kind.name(),
        "role": entry.role.name(),
        "version": program.version,
        "command": command,
        "note": entry.note,
    }))
}

/// What `rivals.json` holds.
#[derive(Debug, Default)]
struct Found {
    built: Vec<Value>,
    skipped: Vec<Value>,
}

impl Found {
    /// What an earlier command has found about rivals other than these.
    fn read_without(list: &Path, names: &[String]) -> Result<Self, String> {
        if !list.is_file() {
            return Ok(Self::default());
        }
        let whole: Value = serde_json::from_str(&sdk::read(list)?).map_err(|error| {
            format!(
                "{} is no list of rivals ({error}); remove it and build all",
                list.display()
            )
        })?;
        let rest = |part: &str| -> Vec<Value> {
            let values = whole[part].as_array().into_iter().flatten();
            let is_other = |value: &&Value| !names.iter().any(|name| value["name"] == **name);
            values.filter(is_other).cloned().collect()
        };
        Ok(Self {
            built: rest("built"),
            skipped: rest("skipped"),
        })
    }

    fn add(&mut self, entry: &Entry, made: Result<Value, String>) {
        match made {
            Ok(value) => self.built.push(value),
            Err(why) => self.skipped.push(json!({
                "name": entry.name,
                "kind": entry.kind.name(),
                "why": why,
            })),
        }
    }

    /// Brings what an earlier command has found into the order of the table.
    fn sort(&mut self) {
        let place = |value: &Value| {
            let is_it =
                |entry: &Entry| value["name"] == entry.name && value["kind"] == entry.kind.name();
            ENTRIES.iter().position(is_it)
        };
        self.built.sort_by_key(place);
        self.skipped.sort_by_key(place);
    }

    fn write(&self, list: &Path) -> Result<(), String> {
        let whole = json!({ "built": self.built, "skipped": self.skipped });
        sdk::write(list, &format!("{whole:#}\n"))
    }

    fn print(&self, list: &Path) {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for value in &self.built {
            println!(
                "{:<8}{:<16}{}",
                text(value, "kind"),
                text(value, "name"),
                text(value, "version")
            );
        }
        for value in &self.skipped {
            println!(
                "SKIPPED: {} {}: {}",
                text(value, "kind"),
                text(value, "name"),
                text(value, "why")
            );
        }
        println!(
            "{} built, {} skipped; listed in {}",
            self.built.len(),
            self.skipped.len(),
            list.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn names_are_chosen_and_checked() {
        assert_eq!(parse(&[]), Ok(Vec::new()));
        let only = parse(&words(&["--only", "tokio", "--only=may"]));
        assert_eq!(only, Ok(words(&["tokio", "may"])));
        for bad in [&["--only"][..], &["--only", "nobody"], &["tokio"]] {
            assert!(parse(&words(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_part_of_the_rivals_keeps_the_others() {
        let list = std::env::temp_dir().join(format!("rivals-{}.json", std::process::id()));
        let mut found = Found::default();
        found.add(&ENTRIES[0], Err("no luck".to_owned()));
        found.built.push(json!({"name": "other", "kind": "echo"}));
        found.write(&list).unwrap();
        let last = ENTRIES.len() - 1;
        found.add(&ENTRIES[last], Err("no luck".to_owned()));
        found.add(&ENTRIES[1], Err("no luck".to_owned()));
        found.sort();
        let whys = found.skipped.iter().map(|value| &value["name"]);
        let names = [0, 1, last].map(|place| ENTRIES[place].name);
        assert!(whys.eq(names), "the order is that of the table");
        let rest = Found::read_without(&list, &words(&[ENTRIES[0].name]));
        let all = Found::read_without(&list, &[]);
        std::fs::remove_file(&list).unwrap();
        let (rest, all) = (rest.unwrap(), all.unwrap());
        assert_eq!((rest.built.len(), rest.skipped.len()), (1, 0));
        assert_eq!((all.built.len(), all.skipped.len()), (1, 1));
    }
}
