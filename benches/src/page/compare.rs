//! The page of `compare`.
//!
//! First an overview, our median against the best peer's in each row, then every row with its bars, curves
//! and table. Called by the module.

use super::bars::{Bar, bars};
use super::html::{escape, table, warning};
use super::lines::{Line, Look, percentiles};
use super::manifest::shown;
use super::single::curve;
use crate::report::Unit;
use serde_json::Value;
use std::fmt::Write;

/// With fewer samples of a side the ranges say nothing.
const MIN_SAMPLES: u64 = 3;

/// A ratio that is no further from 1 says nothing.
const EVEN: f64 = 0.03;

pub(super) fn title(report: &Value) -> String {
    let kind = shown(&report["settings"]["kind"]);
    format!("llam-bench compare {kind}")
}

pub(super) fn body(report: &Value) -> String {
    let result = &report["result"];
    let mut text = remarks(report);
    let looks = Looks::of(report);
    let rows: Vec<_> = list(&result["rows"]).collect();
    text.push_str(&overview(&rows));
    let has_one_figure = rows.iter().all(|row| list(&row["metrics"]).count() == 1);
    if has_one_figure {
        // Operations of a runtime: a chart each is all there is.
        text.push_str("<section><h2>Rows</h2>\n<div class=\"grid-of-charts\">\n");
        for row in &rows {
            for metric in list(&row["metrics"]) {
                let title = format!("{}, {}", shown(&row["name"]), direction(metric));
                text.push_str(&chart(&title, row, metric, &looks));
            }
        }
        text.push_str("</div>\n");
        text.push_str(&matrix(report, &rows));
        rows.iter().for_each(|row| text.push_str(&reasons(row)));
        text.push_str("</section>\n");
    } else {
        rows.iter()
            .for_each(|row| text.push_str(&section(row, &looks)));
    }
    text
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// How it was measured, and what went wrong.
fn remarks(report: &Value) -> String {
    let (settings, result) = (&report["settings"], &report["result"]);
    let mut text = String::new();
    if settings["is_quick"] == true {
        text.push_str(&warning(
            "Quick: one short sample each shows that it works, and is no result.",
        ));
    }
    for failed in list(&result["failed"]) {
        let [entry, row, why] = ["entry", "row", "why"].map(|field| shown(&failed[field]));
        text.push_str(&warning(&format!("Failed: {entry}, {row}: {why}")));
    }
    let cpus = |side: &str| {
        list(&settings["cpus"][side])
            .map(shown)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let pinned = match (cpus("server"), cpus("load")) {
        (server, _) if server.is_empty() => "not pinned".to_owned(),
        (server, load) if load.is_empty() => format!("pinned to CPU {server}"),
        (server, load) => format!("server pinned to CPU {server}, load to CPU {load}"),
    };
    let _ = writeln!(
        text,
        "<p>Samples of each entry in each row: {}, interleaved in a balanced order, each in processes of \
         its own; workers: {}; {}. Figures are medians, with the least and the greatest sample below.</p>",
        settings["runs"],
        settings["workers"],
        escape(&pinned),
    );
    let replaced = list(&result["replaced"]).count();
    let _ = writeln!(
        text,
        "<p class=\"note\">Marks: L, the load side may be the limit, so the entry can do at least this \
         much; D, something else ran on the machine; O, the rate could not be kept. A bar with a gap goes on \
         beyond its chart. {replaced} \
         disturbed samples were taken again (at most {} times each).</p>",
        settings["repeats"],
    );
    let skipped: Vec<_> = list(&result["skipped"])
        .map(|skipped| format!("{} ({})", shown(&skipped["name"]), shown(&skipped["why"])))
        .collect();
    if !skipped.is_empty() {
        let _ = writeln!(
            text,
            "<p class=\"note\">Not built: {}.</p>",
            escape(&skipped.join("; "))
        );
    }
    text
}

/// Our median over the best peer's and the best limit's, for each row and metric.
fn overview(rows: &[&Value]) -> String {
    let has_ratios = rows.iter().any(|row| {
        let mut ratios = row["ratios"].as_object().into_iter().flatten();
        ratios.any(|(_, ratios)| {
            !ratios["to_best_peer"].is_null() || !ratios["to_best_limit"].is_null()
        })
    });
    if !has_ratios {
        return String::new();
    }
    let mut metrics: Vec<&Value> = Vec::new();
    for metric in rows.iter().flat_map(|row| list(&row["metrics"])) {
        if metrics.iter().all(|known| known["key"] != metric["key"]) {
            metrics.push(metric);
        }
    }
    let mut text = "<section><h2>Overview</h2>\n\
         <p>llam's median divided by that of the best peer; ▲ llam is better, ▼ it is worse: by more \
         than 3 %, and of three samples or more all on one side of all of the other's. Below, the ratio to the best bare \
         loop over the kernel, which is no peer.</p>\n"
        .to_owned();
    let mut header = vec![String::new()];
    header.extend(metrics.iter().map(|metric| {
        let name = shown(&metric["name"]);
        format!("{}<small>{}</small>", escape(&name), direction(metric))
    }));
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut line = vec![escape(&shown(&row["name"])).into_owned()];
            line.extend(metrics.iter().map(|metric| ratio_cell(row, metric)));
            line
        })
        .collect();
    text.push_str(&table("", &header, &lines));
    text.push_str("</section>\n");
    text
}

fn ratio_cell(row: &Value, metric: &Value) -> String {
    let ratios = &row["ratios"][shown(&metric["key"])];
    let is_more_better = metric["is_more_better"] == true;
    let mut text = match ratios["to_best_peer"]["ratio"].as_f64() {
        Some(ratio) => {
            let entry = shown(&ratios["to_best_peer"]["entry"]);
            let is_apart = are_apart(row, metric, &entry);
            let ratio = judged(ratio, is_more_better, is_apart);
            format!("{ratio}<small>{}</small>", escape(&entry))
        }
        None => "–".to_owned(),
    };
    if let Some(ratio) = ratios["to_best_limit"]["ratio"].as_f64() {
        let entry = shown(&ratios["to_best_limit"]["entry"]);
        let _ = write!(text, "<small>{ratio:.2} {}</small>", escape(&entry));
    }
    text
}

/// Whether all samples of ours, and there are some, are on one side of all of those of `peer`.
fn are_apart(row: &Value, metric: &Value, peer: &str) -> bool {
    let key = shown(&metric["key"]);
    let range = |entry: &str| {
        let cell = list(&row["cells"]).find(|cell| cell["entry"] == entry)?;
        let figure = &cell["figures"][&key];
        let has_enough = cell["samples"].as_u64()? >= MIN_SAMPLES;
        has_enough.then_some((figure["least"].as_f64()?, figure["greatest"].as_f64()?))
    };
    match (range(&shown(&row["ours"])), range(peer)) {
        (Some((from, to)), Some((least, greatest))) => to < least || greatest < from,
        _ => false,
    }
}

/// A ratio with its verdict, which a reader without colours sees as well.
fn judged(ratio: f64, is_more_better: bool, is_apart: bool) -> String {
    let (class, mark) = if !is_apart || (ratio - 1.0).abs() <= EVEN {
        ("", "")
    } else if (ratio > 1.0) == is_more_better {
        ("good", " ▲")
    } else {
        ("bad", " ▼")
    };
    format!("<span class=\"{class}\">{ratio:.2}{mark}</span>")
}

fn direction(metric: &Value) -> &'static str {
    match metric["is_more_better"] == true {
        true => "more is better",
        false => "less is better",
    }
}

fn unit_of(metric: &Value) -> Unit {
    serde_json::from_value(metric["unit"].clone()).unwrap_or(Unit::Rate)
}

fn section(row: &Value, looks: &Looks) -> String {
    let name = shown(&row["name"]);
    let mut text = format!("<section><h2>{}</h2>\n", escape(&name));
    text.push_str("<div class=\"grid-of-charts\">\n");
    for metric in list(&row["metrics"]) {
        let title = format!("{}, {}", shown(&metric["name"]), direction(metric));
        text.push_str(&chart(&title, row, metric, looks));
    }
    text.push_str("</div>\n");
    let lines: Vec<_> = list(&row["cells"])
        .map(|cell| Line {
            name: label(cell),
            look: looks.of_cell(cell),
            points: curve(&cell["curve"]),
            has_dots: false,
        })
        .collect();
    text.push_str(&percentiles(
        "Latency by percentile, median of the samples",
        &lines,
        0.0,
    ));
    text.push_str(&figures(row));
    text.push_str(&reasons(row));
    text.push_str("</section>\n");
    text
}

/// How each entry is drawn, the same in all charts of the page.
struct Looks(Vec<(String, Look)>);

impl Looks {
    fn of(report: &Value) -> Self {
        let (mut ours, mut peers, mut limits) = (0, 0, 0);
        let next = |count: &mut usize| {
            *count += 1;
            *count - 1
        };
        let looks = list(&report["result"]["entries"]).map(|entry| {
            let look = match entry["role"].as_str() {
                Some("ours") => Look::Ours(next(&mut ours)),
                Some("limit") => Look::Limit(next(&mut limits)),
                _ => Look::Plain(next(&mut peers)),
            };
            (shown(&entry["name"]), look)
        });
        Self(looks.collect())
    }

    fn of_cell(&self, cell: &Value) -> Look {
        let look = self.0.iter().find(|(name, _)| cell["entry"] == **name);
        look.map_or(Look::Plain(0), |(_, look)| *look)
    }
}

fn label(cell: &Value) -> String {
    let name = shown(&cell["entry"]);
    match cell["role"] == "limit" {
        true => format!("{name} (limit)"),
        false => name,
    }
}

fn chart(title: &str, row: &Value, metric: &Value, looks: &Looks) -> String {
    let key = shown(&metric["key"]);
    let all: Vec<_> = list(&row["cells"])
        .filter_map(|cell| {
            let figure = &cell["figures"][&key];
            Some(Bar {
                name: label(cell),
                look: looks.of_cell(cell),
                median: figure["median"].as_f64()?,
                least: figure["least"].as_f64()?,
                greatest: figure["greatest"].as_f64()?,
                marks: marks(cell),
            })
        })
        .collect();
    bars(title, unit_of(metric), &all)
}

/// One letter for each kind of flag.
fn marks(cell: &Value) -> String {
    let is_set = |field: &str| list(&cell[field]).next().is_some();
    let overloaded = cell["overloaded"].as_u64().unwrap_or(0) > 0;
    let marks = [
        (is_set("load_limits"), 'L'),
        (is_set("disturbed"), 'D'),
        (overloaded, 'O'),
    ];
    let set = marks.iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, mark)| *mark).collect()
}

/// The table of a row: an entry in each line.
fn figures(row: &Value) -> String {
    let metrics: Vec<_> = list(&row["metrics"]).collect();
    let mut header = vec![String::new()];
    header.extend(
        metrics
            .iter()
            .map(|metric| escape(&shown(&metric["name"])).into_owned()),
    );
    header.push("samples".to_owned());
    let lines: Vec<_> = list(&row["cells"])
        .map(|cell| {
            let mut line = vec![escape(&label(cell)).into_owned()];
            line.extend(metrics.iter().map(|metric| figure_cell(row, cell, metric)));
            line.push(format!("{} {}", cell["samples"], marks(cell)));
            line
        })
        .collect();
    table("", &header, &lines)
}

/// One table for rows of one figure each: an entry in each column.
fn matrix(report: &Value, rows: &[&Value]) -> String {
    let names: Vec<_> = list(&report["result"]["entries"])
        .map(|entry| shown(&entry["name"]))
        .collect();
    let mut header = vec![String::new()];
    header.extend(names.iter().map(|name| escape(name).into_owned()));
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut line = vec![escape(&shown(&row["name"])).into_owned()];
            line.extend(names.iter().map(|name| {
                let cell = list(&row["cells"]).find(|cell| cell["entry"] == **name);
                match (cell, list(&row["metrics"]).next()) {
                    (Some(cell), Some(metric)) => figure_cell(row, cell, metric),
                    _ => "–".to_owned(),
                }
            }));
            line
        })
        .collect();
    table("", &header, &lines)
}

/// Median, spread, and what llam's median is of it.
fn figure_cell(row: &Value, cell: &Value, metric: &Value) -> String {
    let (key, unit) = (shown(&metric["key"]), unit_of(metric));
    let figure = &cell["figures"][&key];
    let numbers = ["median", "least", "greatest"].map(|field| figure[field].as_f64());
    let [Some(median), Some(least), Some(greatest)] = numbers else {
        return "–".to_owned();
    };
    let show = |value: f64| escape(&unit.show(value)).into_owned();
    let mut text = show(median);
    if least < greatest {
        let _ = write!(text, "<small>{} to {}</small>", show(least), show(greatest));
    }
    let entry = shown(&cell["entry"]);
    if let Some(ratio) = row["ratios"][&key]["to_each"][&entry].as_f64() {
        let _ = write!(text, "<small>llam/this {ratio:.2}</small>");
    }
    text
}

/// Why the marks of a row are there.
fn reasons(row: &Value) -> String {
    let mut text = String::new();
    for cell in list(&row["cells"]) {
        for (mark, field) in [('L', "load_limits"), ('D', "disturbed")] {
            let reasons: Vec<_> = list(&cell[field]).map(shown).collect();
            if let Some(first) = reasons.first() {
                let line = format!(
                    "{mark} {}: {} of {} samples; the first: {first}",
                    label(cell),
                    reasons.len(),
                    cell["samples"]
                );
                let _ = writeln!(text, "<p class=\"note\">{}</p>", escape(&line));
            }
        }
        if let Some(count @ 1..) = cell["overloaded"].as_u64() {
            let line = format!("O {}: {count} of {} samples", label(cell), cell["samples"]);
            let _ = writeln!(text, "<p class=\"note\">{}</p>", escape(&line));
        }
    }
    text
}
