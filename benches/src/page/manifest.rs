//! What a result must be quoted with: when, on what machine, by which commands.
//!
//! Called by the module.

use super::html::{escape, facts, warning};
use crate::report::bytes;
use serde_json::Value;

/// Under the title.
pub(super) fn lead(report: &Value) -> String {
    let machine = &report["machine"];
    let word = |name: &str| machine[name].as_str().unwrap_or("").to_owned();
    let line = format!(
        "{} · {}, {} CPUs · Linux {}",
        word("date"),
        word("cpu"),
        machine["cpus"],
        word("kernel")
    );
    let mut text = format!("<p class=\"lead\">{}</p>\n", escape(&line));
    let server = shown(&report["settings"]["server"]);
    if !server.is_empty() {
        text.push_str(&format!("<p class=\"lead\">{}</p>\n", escape(&server)));
    }
    if machine["is_optimized"] == false {
        text.push_str(&warning(
            "Not optimized: a debug build's figures say nothing about a release.",
        ));
    }
    text
}

pub(super) fn section(report: &Value) -> String {
    let mut text = "<section><h2>Manifest</h2>\n".to_owned();
    text.push_str(&facts(&machine(&report["machine"])));
    let settings = flat(&report["settings"]);
    if !settings.is_empty() {
        text.push_str("<h3>Settings</h3>\n");
        text.push_str(&facts(&settings));
    }
    let entries = report.pointer("/result/entries").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or("");
        text.push_str(&format!("<h3>{}</h3>\n", escape(name)));
        text.push_str(&facts(&of_entry(entry)));
    }
    text.push_str("</section>\n");
    text
}

fn machine(machine: &Value) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push((name.to_owned(), value));
        }
    };
    add("date", shown(&machine["date"]));
    add("CPU", shown(&machine["cpu"]));
    add("CPUs", shown(&machine["cpus"]));
    add(
        "memory",
        machine["memory_bytes"]
            .as_u64()
            .map_or_else(String::new, bytes),
    );
    add("kernel", shown(&machine["kernel"]));
    let mitigations = pairs(&machine["mitigations"], ": ");
    add(
        "mitigations",
        match mitigations.is_empty() {
            true => "the CPU has none of the vulnerabilities that this kernel knows".to_owned(),
            false => mitigations.join("; "),
        },
    );
    let governor = shown(&machine["governor"]);
    add(
        "governor",
        match governor.is_empty() {
            true => "not readable".to_owned(),
            false => governor,
        },
    );
    add("somaxconn", shown(&machine["somaxconn"]));
    add("load average", shown(&machine["load_average"]));
    add("llam-bench", shown(&machine["version"]));
    add("environment", pairs(&machine["environment"], "=").join(" "));
    add("command", words(&machine["command"]));
    facts
}

fn of_entry(entry: &Value) -> Vec<(String, String)> {
    let environment = entry["environment"].as_array().into_iter().flatten();
    let environment: Vec<_> = environment
        .map(|pair| format!("{}={}", shown(&pair[0]), shown(&pair[1])))
        .collect();
    [
        ("version", shown(&entry["version"])),
        ("role", shown(&entry["role"])),
        ("command", words(&entry["command"])),
        ("environment", environment.join(" ")),
        ("note", shown(&entry["note"])),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The fields of an object that has objects and lists in it, with their names in a row.
pub(super) fn flat(value: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    flatten(&mut all, String::new(), value);
    all
}

fn flatten(all: &mut Vec<(String, String)>, name: String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name.is_empty() {
                    true => field.replace('_', " "),
                    false => format!("{name} {}", field.replace('_', " ")),
                };
                flatten(all, name, value);
            }
        }
        other => {
            let text = words(other);
            if !text.is_empty() {
                all.push((name, text));
            }
        }
    }
}

fn pairs(object: &Value, between: &str) -> Vec<String> {
    let fields = object.as_object().into_iter().flatten();
    let pairs = fields.map(|(name, value)| format!("{name}{between}{}", shown(value)));
    pairs.collect()
}

/// A list as words, or what is there.
fn words(value: &Value) -> String {
    match value.as_array() {
        Some(list) => list.iter().map(shown).collect::<Vec<_>>().join(" "),
        None => shown(value),
    }
}

/// A value as text; nothing for null.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
