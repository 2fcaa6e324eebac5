//! The page of `sweep`: latency over the rate that was asked for.
//!
//! Called by the module.

use super::html::{escape, table};
use super::lines::{Line, Look, rates};
use super::manifest::shown;
use super::single::{self, PERCENTILES, percentile_header, percentile_row};
use crate::report::grouped;
use serde_json::Value;

pub(super) fn body(report: &Value) -> String {
    let result = &report["result"];
    let no_points = Vec::new();
    let points = result["points"].as_array().unwrap_or(&no_points);
    let mut text = single::warnings(report);
    text.push_str("<section><h2>Result</h2>\n");
    if let Some(peak) = result["peak_requests_per_second"].as_f64() {
        text.push_str(&format!(
            "<p>Peak of the closed loop: {} requests per second.</p>\n",
            grouped(peak)
        ));
    }
    let stopped = shown(&result["stopped"]);
    if !stopped.is_empty() {
        text.push_str(&format!("<p>{}</p>\n", escape(&stopped)));
    }
    let lines: Vec<_> = PERCENTILES
        .iter()
        .enumerate()
        .map(|(number, (field, heading))| Line {
            name: (*heading).to_owned(),
            look: match *field {
                "max" => Look::Limit(0),
                "p99" => Look::Ours(0),
                _ => Look::Plain(number),
            },
            points: points
                .iter()
                .filter_map(|point| {
                    let ns = point["latency_ns"][*field].as_f64()?;
                    Some((point["rate"].as_f64()?, ns))
                })
                .collect(),
            has_dots: true,
        })
        .collect();
    text.push_str(&rates("Latency by the rate asked for", &lines));
    let rows: Vec<_> = points.iter().map(row).collect();
    let mut header = vec!["rate asked for".to_owned(), "rate got".to_owned()];
    header.extend(percentile_header("", false).into_iter().skip(1));
    header.push("remarks".to_owned());
    text.push_str(&table("", &header, &rows));
    text.push_str("</section>\n");
    text
}

fn row(point: &Value) -> Vec<String> {
    let number = |field: &str| point[field].as_f64().map_or_else(String::new, grouped);
    let share = point["share"].as_f64();
    // Some name a share in percent.
    let share = share.map(|share| if share > 1.0 { share / 100.0 } else { share });
    let share = share.map_or_else(String::new, |share| {
        format!("<small>{:.0} %</small>", share * 100.0)
    });
    let mut row = vec![
        format!("{}{share}", number("rate")),
        number("requests_per_second"),
    ];
    let without_count = percentile_row("", &point["latency_ns"]);
    row.extend(without_count.into_iter().skip(1).take(PERCENTILES.len()));
    let limits = point["load_limits"].as_array().into_iter().flatten();
    let mut remarks: Vec<_> = limits.map(shown).collect();
    if point["is_kept"] == false {
        remarks.insert(0, "the rate was not kept".to_owned());
    }
    row.push(escape(&remarks.join("; ")).into_owned());
    row
}
