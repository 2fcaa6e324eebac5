//! The page of one subcommand's result, whatever is in it.
//!
//! An object with percentiles becomes a line of the table and a curve; rows of runs become bars; a
//! number becomes a figure, in the unit that its name ends in; what says that a result is not to be trusted
//! becomes a warning. Called by the module and `sweep`.

use super::bars::{Bar, bars};
use super::html::{escape, table, warning};
use super::lines::{Line, Look, percentiles};
use super::manifest::{flat, shown};
use crate::report::{Unit, grouped};
use serde_json::{Map, Value};

/// The columns of percentiles: field and heading.
pub(super) const PERCENTILES: [(&str, &str); 6] = [
    ("p50", "p50"),
    ("p90", "p90"),
    ("p99", "p99"),
    ("p99_9", "p99.9"),
    ("p99_99", "p99.99"),
    ("max", "max"),
];

/// Operations that take longer have a chart of their own, beside which the others would be too short to see.
const SLOW_NS: f64 = 1_500.0;

pub(super) fn title(report: &Value) -> String {
    format!("llam-bench {}", shown(&report["benchmark"]))
}

pub(super) fn body(report: &Value) -> String {
    let result = &report["result"];
    let mut text = warnings(report);
    if let Some(rows) = result.as_array() {
        text.push_str(&rows_of_runs(rows));
        return text;
    }
    let Some(fields) = result.as_object() else {
        return text;
    };
    text.push_str("<section><h2>Result</h2>\n");
    let rows: Vec<_> = figures(fields)
        .into_iter()
        .map(|(name, value)| vec![escape(&name).into_owned(), escape(&value).into_owned()])
        .collect();
    text.push_str(&table("", &[], &rows));
    text.push_str(&latencies(fields));
    text.push_str("</section>\n");
    text
}

/// What must be read before the figures.
pub(super) fn warnings(report: &Value) -> String {
    let result = &report["result"];
    let mut text = String::new();
    // A list of phrases is never there to praise.
    for (field, value) in result.as_object().into_iter().flatten() {
        let what = match field.as_str() {
            "load_limits" => "The load side may be the limit".to_owned(),
            "peak_load_limits" => "The load side may be the limit of the peak".to_owned(),
            _ => spaced(field),
        };
        let phrases = value.as_array().into_iter().flatten();
        for phrase in phrases.filter_map(Value::as_str) {
            text.push_str(&warning(&format!("{what}: {phrase}")));
        }
    }
    if let Some(faults @ 1..) = result["total_faults"].as_u64() {
        let kinds: Vec<_> = flat(&result["faults"])
            .into_iter()
            .filter(|(_, count)| count != "0")
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let kinds = kinds.join(", ");
        text.push_str(&warning(&format!("{faults} faults: {kinds}")));
    }
    if let Some(unfinished @ 1..) = result["unfinished"].as_u64() {
        text.push_str(&warning(&format!(
            "Overload: {unfinished} requests that were due were never sent; they count with the \
             time they had waited."
        )));
    }
    let note = shown(&report["settings"]["server_note"]);
    if !note.is_empty() {
        text.push_str(&warning(&note));
    }
    text
}

/// Everything that is a number or a word, in order, with its unit.
fn figures(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in fields {
        match value {
            // Said by the warnings when there are any.
            _ if name == "faults" => {}
            Value::Object(inner) if !is_percentiles(value) => {
                let inner = figures(inner).into_iter();
                all.extend(
                    inner.map(|(field, value)| (format!("{}, {field}", spaced(name)), value)),
                );
            }
            Value::Array(items) => {
                for (number, item) in (1..).zip(items) {
                    if let Some(inner) = item.as_object() {
                        let inner = figures(inner).into_iter();
                        let name = spaced(name);
                        all.extend(
                            inner
                                .map(|(field, value)| (format!("{name} {number}, {field}"), value)),
                        );
                    }
                }
            }
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    all.push(figure(name, number));
                }
            }
            Value::String(word) => all.push((spaced(name), word.clone())),
            Value::Bool(is_so) => all.push((spaced(name), is_so.to_string())),
            Value::Object(_) | Value::Null => {}
        }
    }
    all
}

fn figure(name: &str, value: f64) -> (String, String) {
    let by_unit = |suffix: &str, unit: Unit| {
        let name = name.strip_suffix(suffix)?;
        Some((spaced(name), unit.show(value)))
    };
    by_unit("_ns", Unit::Ns)
        .or_else(|| by_unit("_bytes", Unit::Bytes))
        .or_else(|| {
            let is_bytes = name.contains("bytes_");
            is_bytes.then(|| (spaced(name), Unit::Bytes.show(value)))
        })
        .unwrap_or_else(|| (spaced(name), grouped(value)))
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

fn is_percentiles(value: &Value) -> bool {
    value["p50"].is_number() && value["max"].is_number()
}

/// A table of percentiles, and the curves.
fn latencies(fields: &Map<String, Value>) -> String {
    let found = fields.iter().filter(|(_, value)| is_percentiles(value));
    let found: Vec<_> = found
        .map(|(name, value)| (spaced(name.trim_end_matches("_ns")), value))
        .collect();
    if found.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = found
        .iter()
        .map(|(name, value)| percentile_row(name, value))
        .collect();
    let lines = found
        .iter()
        .enumerate()
        .map(|(number, (name, value))| Line {
            name: name.clone(),
            look: match number {
                0 => Look::Ours(0),
                _ => Look::Plain(number - 1),
            },
            points: curve(&value["curve"]),
            has_dots: false,
        });
    let samples = found
        .iter()
        .filter_map(|(_, value)| value["samples"].as_f64());
    let chart = percentiles(
        "Latency by percentile",
        &lines.collect::<Vec<_>>(),
        samples.fold(0.0, f64::max),
    );
    format!("{}{chart}", table("", &percentile_header("", true), &rows))
}

pub(super) fn percentile_header(first: &str, has_samples: bool) -> Vec<String> {
    let mut header = vec![escape(first).into_owned()];
    header.extend(PERCENTILES.map(|(_, heading)| heading.to_owned()));
    if has_samples {
        header.push("samples".to_owned());
    }
    header
}

/// A name and the percentiles of one object, with the count of samples where there is one.
pub(super) fn percentile_row(name: &str, value: &Value) -> Vec<String> {
    let mut row = vec![escape(name).into_owned()];
    row.extend(PERCENTILES.map(|(field, _)| match value[field].as_f64() {
        Some(ns) => escape(&Unit::Ns.show(ns)).into_owned(),
        None => String::new(),
    }));
    row.extend(value["samples"].as_f64().map(grouped));
    row
}

/// The points of a curve.
pub(super) fn curve(points: &Value) -> Vec<(f64, f64)> {
    let points = points.as_array().into_iter().flatten();
    let points = points.filter_map(|point| Some((point[0].as_f64()?, point[1].as_f64()?)));
    points.collect()
}

/// Rows with a median and its spread, as `rt` has them.
fn rows_of_runs(rows: &[Value]) -> String {
    let mut text = "<section><h2>Result</h2>\n".to_owned();
    let (mut quick, mut slow, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = Vec::new();
    for row in rows {
        let numbers = ["median", "least", "greatest"].map(|field| row[field].as_f64());
        let numbers = numbers.map(|number| number.unwrap_or(0.0));
        let (unit, group) = match row["unit"] == "bytes" {
            true => (Unit::Bytes, &mut memory),
            false if numbers[0] < SLOW_NS => (Unit::Ns, &mut quick),
            false => (Unit::Ns, &mut slow),
        };
        let name = shown(&row["name"]);
        let operation = shown(&row["operation"]);
        let mut line = vec![format!(
            "{}<small>{}</small>",
            escape(&name),
            escape(&operation)
        )];
        line.extend(numbers.map(|number| escape(&unit.show(number)).into_owned()));
        line.push(grouped(row["count"].as_f64().unwrap_or(0.0)));
        lines.push(line);
        group.push(Bar {
            name,
            look: Look::Ours(0),
            median: numbers[0],
            least: numbers[1],
            greatest: numbers[2],
            marks: String::new(),
        });
    }
    text.push_str("<div class=\"grid-of-charts\">\n");
    text.push_str(&bars("Time of each operation", Unit::Ns, &quick));
    text.push_str(&bars(
        "Time of each operation, slower ones",
        Unit::Ns,
        &slow,
    ));
    text.push_str(&bars("Memory of each task", Unit::Bytes, &memory));
    text.push_str("</div>\n");
    let header = ["", "median", "least", "greatest", "count"].map(str::to_owned);
    text.push_str(&table("", &header, &lines));
    text.push_str("</section>\n");
    text
}
