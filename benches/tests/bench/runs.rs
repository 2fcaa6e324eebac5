//! The subcommands do what they say, in a small way.

use crate::cheat::{Cheat, Server};
use crate::program::{echo, json, number, run};
use std::fs;

#[test]
fn echo_measures_the_server_that_it_starts() {
    let log = std::env::temp_dir().join(format!("llam-bench-{}.hlog", std::process::id()));
    let log_text = log.to_string_lossy().into_owned();
    let words = "echo --json --connections 8 --duration 1500ms --warmup 100ms --server-workers 1";
    let mut arguments: Vec<_> = words.split(' ').collect();
    arguments.extend(["--hlog", &log_text]);
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = json(&finished);
    let result = &report["result"];
    assert_eq!(number(result, "/total_faults"), 0.0);
    assert_eq!(number(&report, "/settings/connections"), 8.0);
    assert!(number(result, "/server/resident_bytes_after") > 1e5);
    assert!(number(result, "/server/requests_per_cpu_second") > 0.0);
    let order = ["p50", "p90", "p99", "p99_9", "p99_99", "max"]
        .map(|name| number(result, &format!("/latency_ns/{name}")));
    assert!(order.is_sorted() && order[0] > 0.0, "{result}");

    let text = fs::read_to_string(&log).expect("the log was written");
    fs::remove_file(&log).expect("the log can be removed");
    let max_ms = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').nth(2).and_then(|max| max.parse().ok()))
        .map(|max: Option<f64>| max.expect("a log line has its maximum"))
        .fold(0.0, f64::max);
    let off = (max_ms - order[5] / 1e6).abs();
    assert!(off < 0.01 * max_ms + 0.002, "{max_ms} ms in {text}");
}

#[test]
fn the_table_has_what_the_json_has() {
    let server = Server::start(Cheat::Honest);
    let address = server.address.to_string();
    let words = "echo --connections 1 --duration 200ms --warmup 0s --address";
    let mut arguments: Vec<_> = words.split(' ').collect();
    arguments.push(&address);
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for word in [
        "p99.99",
        "latency",
        "requests/s",
        "Linux",
        "--duration 200ms",
    ] {
        assert!(finished.stdout.contains(word), "{}", finished.stdout);
    }
    assert!(!finished.stdout.contains("FAULTS"), "{}", finished.stdout);
}

#[test]
fn a_process_of_this_machine_is_looked_at() {
    let server = Server::start(Cheat::Honest);
    let own = std::process::id().to_string();
    let arguments = ["--duration", "300ms", "--warmup", "0s", "--pid", &own];
    let (code, result) = echo(server.address, &arguments);
    assert_eq!(code, Some(0), "{result}");
    assert!(number(&result, "/server/resident_bytes_after") > 1e5);
    assert!(number(&result, "/server/cpus") > 0.0, "{result}");
}

#[test]
fn a_churning_load_makes_its_connections_again() {
    let server = Server::start(Cheat::Honest);
    let arguments = "--duration 500ms --warmup 0s --connections 2 --rate 300 --churn 10";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let (code, result) = echo(server.address, &arguments);
    assert_eq!(code, Some(0), "{result}");
    assert_eq!(number(&result, "/latency_ns/samples"), 150.0, "{result}");
    let made = number(&result, "/connecting_ns/samples");
    assert!(
        (10.0..=15.0).contains(&made),
        "one for ten requests: {result}"
    );
}

#[test]
fn idle_connections_have_a_price_and_still_work() {
    for protocol in ["echo", "http"] {
        let words = "idle --json --connections 300 --sample 20 --protocol";
        let mut arguments: Vec<_> = words.split(' ').collect();
        arguments.push(protocol);
        let finished = run(&arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let report = json(&finished);
        assert_eq!(report["settings"]["protocol"], protocol);
        let each = number(&report, "/result/server_bytes_per_connection");
        // A task's stack page and a buffer, and nobody's megabyte.
        assert!((4096.0..1e6).contains(&each), "{each}");
        assert_eq!(number(&report, "/result/answer_ns/samples"), 20.0);
    }
}

#[test]
fn idle_needs_a_process_to_look_at() {
    let server = Server::start(Cheat::Honest);
    let finished = run(&["idle", "--address", &server.address.to_string()]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("--pid"), "{}", finished.stderr);
}

#[test]
fn every_row_of_rt_is_measured() {
    let names = run(&["rt", "--list"]).stdout;
    let names: Vec<_> = names.lines().collect();
    assert!(names.len() >= 12, "{names:?}");
    let finished = run(&["rt", "--json", "--divide", "100", "--runs", "2"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = json(&finished);
    let rows = report["result"].as_array().expect("a list of rows");
    let measured: Vec<_> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(measured, names);
    for row in rows {
        let least = number(row, "/least");
        let median = number(row, "/median");
        let greatest = number(row, "/greatest");
        assert!(
            0.0 < least && least <= median && median <= greatest,
            "{row}"
        );
        assert_eq!(row["runs"].as_array().map(Vec::len), Some(2), "{row}");
    }
    let parked = rows.last().expect("a row");
    assert!(
        number(parked, "/median") > 4000.0,
        "a stack has a page: {parked}"
    );
}

#[test]
fn rows_can_be_chosen() {
    let finished = run(&["rt", "--only", "yield", "--list"]);
    assert_eq!(finished.stdout, "yield-2\nyield-10000\n");
    let finished = run(&["rt", "--only", "nothing-like-it"]);
    assert_eq!(finished.code, Some(1));
}

#[test]
fn nobody_listening_is_an_error() {
    let finished = run(&["echo", "--address", "127.0.0.1:1", "--duration", "10ms"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("cannot connect"),
        "{}",
        finished.stderr
    );
    assert_eq!(run(&["echo", "--size", "3"]).code, Some(2));
}
