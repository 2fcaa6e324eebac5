//! Pages are well-formed, complete, legible, and ask nobody for anything.

use super::*;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::json;

/// A name that would break out of any place where it is not escaped.
const NASTY: &str = "<b>\"'&</title><script src=http://x.test/></script>";

/// Width of a letter in the charts, in their units.
const LETTER: f64 = 6.5;

fn machine() -> Value {
    json!({
        "version": "0", "is_optimized": true, "cpu": NASTY, "cpus": 2, "memory_bytes": 1_u64 << 34,
        "kernel": "6.18", "mitigations": {"spectre_v2": "Mitigation: Retpolines"}, "governor": null,
        "somaxconn": 4096, "date": "2026-01-01T00:00:00Z", "command": ["llam-bench", NASTY],
        "environment": {"LLAM_WORKERS": "1"}, "load_average": "0.10",
    })
}

fn percentiles(scale: u64) -> Value {
    let curve: Vec<_> = (0..80)
        .map(|step| {
            let share = 10_f64.powf(-f64::from(step) / 16.0);
            (
                100.0 - share * 100.0,
                (1000.0 * scale as f64 / share.sqrt()) as u64,
            )
        })
        .chain([(100.0, 300_000 * scale)])
        .collect();
    json!({
        "samples": 100_000, "p50": 1_400 * scale, "p90": 3_000 * scale, "p99": 10_000 * scale,
        "p99_9": 30_000 * scale, "p99_99": 100_000 * scale, "max": 300_000 * scale, "curve": curve,
    })
}

fn echo() -> Value {
    json!({
        "benchmark": "echo", "machine": machine(),
        "settings": {"server": NASTY, "server_note": "old", "rate": 0.0, "connections": 64},
        "result": {
            "answers": 100_000, "requests_per_second": 50_000.4, "latency_ns": percentiles(1),
            "connecting_ns": percentiles(7), "lateness_ns": null,
            "server": {"cpus": 0.5, "resident_bytes_after": 5 << 20},
            "load_threads": [{"running": 0.4, "waiting_for_a_cpu": 0.0}],
            "load_limits": ["a busy thread"], "unfinished": 3,
            "faults": {"lost": 2, "doubled": 0}, "total_faults": 2,
        },
    })
}

fn sweep() -> Value {
    let points: Vec<_> = (1..=9)
        .map(|tenth| {
            json!({
                "share": 10 * tenth, "rate": 10_000 * tenth,
                "requests_per_second": 9_999 * tenth, "latency_ns": percentiles(tenth as u64),
                "load_limits": if tenth == 9 { vec!["late & busy"] } else { vec![] },
                "is_kept": tenth < 9,
            })
        })
        .collect();
    json!({
        "benchmark": "sweep", "machine": machine(), "settings": {"server": "a"},
        "result": {
            "peak_requests_per_second": 100_000.0, "points": points,
            "peak_load_limits": ["a busy thread"], "stopped": "it was enough",
        },
    })
}

fn rt() -> Value {
    let row = |name: &str, unit: &str, median: f64| {
        json!({
            "name": name, "operation": "an operation", "unit": unit, "median": median,
            "least": median * 0.9, "greatest": median * 5.0, "count": 1_000_000,
        })
    };
    json!({
        "benchmark": "rt", "machine": machine(), "settings": {"workers": 1},
        "result": [
            row("spawn-join", "ns", 230.0),
            row("sleep-100000", "ns", 10_000.0),
            row("parked-10000", "bytes", 4_543.0),
        ],
    })
}

const ENTRIES: [(&str, &str); 5] = [
    ("llam", "ours"),
    ("llam-uring", "ours"),
    ("tokio", "peer"),
    (NASTY, "peer"),
    ("bare-epoll", "limit"),
];

/// A comparison; with one metric in each row it is one of operations.
fn comparison(metrics: &[(&str, &str, bool)]) -> Value {
    let entries: Vec<_> = ENTRIES
        .iter()
        .map(|(name, role)| {
            json!({
                "name": name, "role": role, "version": "v", "command": ["/x", NASTY],
                "environment": [["LLAM_IO_BACKEND", "uring"]], "note": null,
            })
        })
        .collect();
    let cells: Vec<_> = (1..)
        .zip(ENTRIES)
        .map(|(number, (name, role))| {
            let figures = metrics.iter().map(|(key, ..)| {
                let median = 1000.0 * f64::from(number);
                let least = median - 10.0;
                let greatest = if number == 5 { 1e9 } else { median + 10.0 };
                let figure = json!({"median": median, "least": least, "greatest": greatest});
                ((*key).to_owned(), figure)
            });
            json!({
                "entry": name, "role": role, "samples": 5,
                "figures": figures.collect::<serde_json::Map<_, _>>(),
                "curve": percentiles(number as u64)["curve"],
                "load_limits": ["busy"], "disturbed": if number == 3 { vec![NASTY] } else { vec![] },
                "overloaded": 0,
            })
        })
        .collect();
    let ratios = metrics.iter().map(|(key, ..)| {
        let best = json!({"entry": "tokio", "ratio": 0.33});
        let ratios = json!({
            "to_each": {"tokio": 0.33}, "to_best_peer": best,
            "to_best_limit": {"entry": "bare-epoll", "ratio": 0.2},
        });
        ((*key).to_owned(), ratios)
    });
    let listed: Vec<_> = metrics
        .iter()
        .map(|(key, unit, is_more_better)| {
            json!({"key": key, "name": key, "unit": unit, "is_more_better": is_more_better})
        })
        .collect();
    let row = json!({
        "name": "connections 64", "metrics": listed, "cells": cells, "ours": "llam",
        "ratios": ratios.collect::<serde_json::Map<_, _>>(),
    });
    json!({
        "benchmark": "compare", "machine": machine(),
        "settings": {
            "kind": "echo", "workers": 1, "runs": 5, "repeats": 2, "is_quick": true,
            "cpus": {"server": [0], "load": [1]},
        },
        "result": {
            "entries": entries, "rows": [row.clone(), row],
            "skipped": [{"name": "go", "why": NASTY}],
            "failed": [{"entry": "may", "row": "connections 64", "why": NASTY}],
            "replaced": [{"entry": "may", "row": "connections 64", "why": "noise"}],
        },
    })
}

fn compare() -> Value {
    comparison(&[
        ("requests_per_second", "rate", true),
        ("p99", "ns", false),
        ("resident_bytes", "bytes", false),
    ])
}

fn pages() -> Vec<(&'static str, String)> {
    let compare_rt = comparison(&[("time", "ns", false)]);
    let reports = [
        ("echo", echo()),
        ("sweep", sweep()),
        ("rt", rt()),
        ("compare", compare()),
        ("compare of operations", compare_rt),
        ("nothing", json!({})),
        (
            "no rows",
            json!({"benchmark": "compare", "result": {"rows": []}}),
        ),
    ];
    reports.map(|(name, report)| (name, text(&report))).into()
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error} in {page}"))
}

fn words(node: Node) -> String {
    let texts = node.descendants().filter(Node::is_text);
    texts.filter_map(|node| node.text()).collect()
}

#[test]
fn pages_are_well_formed_and_ask_for_nothing() {
    for (name, page) in pages() {
        let document = parse(&page);
        for node in document.descendants().filter(Node::is_element) {
            let element = node.tag_name().name();
            let is_asking = [
                "script", "link", "img", "iframe", "object", "use", "image", "a",
            ];
            assert!(!is_asking.contains(&element), "{name}: {element}");
            for attribute in node.attributes() {
                let is_free = element == "svg" && attribute.name() == "aria-label";
                let value = attribute.value();
                assert!(is_free || !value.contains("http"), "{name}: {value}");
                assert!(
                    !attribute.name().starts_with("on"),
                    "{name}: {}",
                    attribute.name()
                );
            }
        }
        for asking in ["url(", "@import", "http"] {
            assert!(!STYLE.contains(asking), "{asking}");
        }
    }
}

#[test]
fn a_comparison_shows_every_entry() {
    for page in [compare(), comparison(&[("time", "ns", false)])].map(|report| text(&report)) {
        let document = parse(&page);
        let all = words(document.root_element());
        for (name, _) in ENTRIES {
            let charts = document
                .descendants()
                .filter(|node| node.has_tag_name("title"));
            assert!(
                charts
                    .filter(|title| words(*title).starts_with(name))
                    .count()
                    >= 2,
                "{name}"
            );
            assert!(
                all.matches(name).count() >= 3,
                "{name} in table, charts and manifest"
            );
        }
        for part in [
            "Failed: may",
            "Not built: go",
            "Quick",
            "0.33 ▼",
            "tokio",
            "0.20 bare-epoll",
            "D tokio",
        ] {
            let part = part.replace(
                "0.33 ▼",
                if page.contains("time") {
                    "0.33"
                } else {
                    "0.33 ▼"
                },
            );
            assert!(all.contains(&part), "{part} in {all}");
        }
    }
}

#[test]
fn ratios_are_judged_only_when_samples_are_apart() {
    let verdict = |least: f64, greatest: f64| {
        let mut report = compare();
        let figure = &mut report["result"]["rows"][0]["cells"][0]["figures"]["p99"];
        *figure = json!({"median": 1000.0, "least": least, "greatest": greatest});
        report["result"]["rows"].as_array_mut().unwrap().truncate(1);
        let page = text(&report);
        words(parse(&page).root_element()).matches("0.33 ▲").count()
    };
    assert_eq!(
        verdict(900.0, 1100.0),
        2,
        "p99 and memory are less than tokio's"
    );
    assert_eq!(verdict(900.0, 2995.0), 1, "one sample of p99 is not");
}

#[test]
fn warnings_and_figures_of_a_single_run() {
    let page = text(&echo());
    let all = words(parse(&page).root_element());
    for part in [
        "The load side may be the limit: a busy thread",
        "2 faults: lost 2",
        "Overload: 3 requests",
        "50,000",
        "5.0 MiB",
        "Latency by percentile",
        "99.9 %",
        "spectre_v2: Mitigation: Retpolines",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let all = text(&sweep());
    for part in [
        "100,000 requests per second",
        "the rate was not kept; late &amp; busy",
        "The load side may be the limit of the peak: a busy thread",
        "it was enough",
        "Latency by the rate",
        "<small>90 %</small>",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

/// Where a text of a chart is: from, to, and its line.
fn extent(node: Node) -> Option<(f64, f64, f64)> {
    let number = |name| node.attribute(name)?.parse::<f64>().ok();
    let (x, y) = (number("x")?, number("y")?);
    let width = words(node).chars().count() as f64 * LETTER;
    let from = match node.attribute("text-anchor") {
        Some("end") => x - width,
        Some("middle") => x - width / 2.0,
        _ => x,
    };
    Some((from, from + width, y))
}

#[test]
fn no_two_texts_of_a_chart_touch() {
    let mut charts = 0;
    for (name, page) in pages() {
        let document = parse(&page);
        let is_chart = |node: &Node| node.has_tag_name("svg") && node.has_attribute("role");
        for chart in document.descendants().filter(is_chart) {
            charts += 1;
            let size: Vec<f64> = chart
                .attribute("viewBox")
                .into_iter()
                .flat_map(|size| size.split(' ').map(|side| side.parse().unwrap()))
                .collect();
            let texts = chart.descendants().filter(|node| node.has_tag_name("text"));
            let texts: Vec<_> = texts
                .filter_map(|node| Some((words(node), extent(node)?)))
                .collect();
            for (number, (word, (from, to, y))) in texts.iter().enumerate() {
                let is_inside = *from >= 0.0 && *to <= size[2] && *y > 0.0 && *y < size[3];
                assert!(is_inside, "{name}: {word} at {from} to {to}, {y}");
                for (other, (other_from, other_to, other_y)) in &texts[..number] {
                    let is_apart =
                        to < other_from || other_to < from || (y - other_y).abs() >= 12.0;
                    assert!(is_apart, "{name}: {word} on {other}");
                }
            }
        }
    }
    assert!(charts >= 10, "{charts}");
}
