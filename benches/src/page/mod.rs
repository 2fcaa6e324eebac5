//! A report as one HTML page that needs nothing beside itself: no script, no font, no request.
//!
//! | file | holds |
//! |---|---|
//! | `html` | escaping, tables, lists |
//! | `scale` | values into places on an axis |
//! | `lines`, `bars` | the charts, as inline SVG |
//! | `single` | what any subcommand's JSON shows: figures, percentiles, curves |
//! | `sweep` | latency over rate |
//! | `compare` | rows of entries, medians with spread, ratios |
//! | `manifest` | what a result must be quoted with |
//!
//! A page is made of the report's JSON, so it cannot say anything else, and a subcommand gets its page
//! without code of its own. Colours follow the reader's scheme, light or dark. This file owns where the
//! page goes, and its frame. Called by `main` and `report`.

mod bars;
mod compare;
mod html;
mod lines;
mod manifest;
mod scale;
mod single;
mod sweep;

use html::escape;
use serde::Serialize;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::OnceLock;

const STYLE: &str = include_str!("style.css");

/// Set once, before anything is measured. It is the same for whatever this process reports, so it is
/// not handed through every subcommand.
static PAGE: OnceLock<PathBuf> = OnceLock::new();

/// Has the report written to `path` as a page. An error, one phrase, says now that it cannot be, not
/// after the measurement.
pub(crate) fn choose(path: PathBuf) -> Result<(), String> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    PAGE.set(path)
        .map_err(|_| "a page has been chosen already".to_owned())
}

/// Writes the page if one was chosen. An error is one phrase.
pub(crate) fn write(report: &impl Serialize) -> Result<(), String> {
    let Some(path) = PAGE.get() else {
        return Ok(());
    };
    let report = serde_json::to_value(report)
        .map_err(|error| format!("cannot make a page of the result: {error}"))?;
    fs::write(path, text(&report))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The whole page of a report.
fn text(report: &Value) -> String {
    let benchmark = report["benchmark"].as_str().unwrap_or("report");
    let (title, body) = match benchmark {
        "compare" => (compare::title(report), compare::body(report)),
        "sweep" => (single::title(report), sweep::body(report)),
        _ => (single::title(report), single::body(report)),
    };
    let title = escape(&title);
    let lead = manifest::lead(report);
    let manifest = manifest::section(report);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1>\n{lead}</header>\n<main>\n{body}{manifest}</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests;
