//! `sweep` finds the peak, goes up to it, and says where a server gives up.

use crate::cheat::{Cheat, Server};
use crate::program::{json, number, run};
use crate::wire::Wire;
use serde_json::Value;

/// A sweep over a server; the exit code and the report.
fn sweep(protocol: &str, server: &Server, words: &str) -> (Option<i32>, Value) {
    let address = server.address.to_string();
    let mut arguments = vec!["sweep", protocol, "--json", "--address", &address];
    arguments.extend(words.split(' '));
    let finished = run(&arguments);
    (finished.code, json(&finished))
}

/// 5 ms for each message: the peak is below 200 a second whatever the machine.
#[test]
fn each_share_has_its_point() {
    for (protocol, wire) in [("echo", Wire::Echo), ("http", Wire::Http)] {
        let server = Server::speaking(wire, Cheat::Slow);
        let words = "--connections 1 --duration 500ms --warmup 100ms --shares 20,50";
        let (code, report) = sweep(protocol, &server, words);
        assert_eq!(code, Some(0), "{report}");
        let result = &report["result"];
        let peak = number(result, "/peak_requests_per_second");
        assert!((20.0..=200.0).contains(&peak), "{result}");
        assert_eq!(report["settings"]["protocol"], protocol);
        let points = result["points"].as_array().expect("points");
        assert_eq!(points.len(), 2, "{result}");
        for (point, share) in points.iter().zip([0.2, 0.5]) {
            let rate = number(point, "/rate");
            assert!((rate - peak * share).abs() < 1e-6, "{point}");
            assert!(number(point, "/latency_ns/p50") >= 5e6, "{point}");
            assert!(
                number(point, "/requests_per_second") > rate * 0.5,
                "{point}"
            );
        }
    }
}

#[test]
fn it_stops_where_the_server_cannot_keep_the_rate() {
    let server = Server::start(Cheat::Slow);
    let words = "--connections 1 --duration 500ms --warmup 0s --timeout 500ms --shares 300,400";
    let (code, report) = sweep("echo", &server, words);
    let result = &report["result"];
    assert_eq!(code, Some(0), "too slow is not wrong: {result}");
    let points = result["points"].as_array().expect("points");
    assert_eq!(points.len(), 1, "{result}");
    assert_eq!(points[0]["is_kept"], false);
    let stopped = result["stopped"].as_str().expect("a reason");
    assert!(stopped.contains("300 %"), "{stopped}");
}

#[test]
fn faults_end_it() {
    let server = Server::speaking(Wire::Http, Cheat::WrongStatus);
    let words = "--connections 2 --duration 300ms --warmup 0s --shares 50,60";
    let (code, report) = sweep("http", &server, words);
    let result = &report["result"];
    assert_eq!(code, Some(1), "{result}");
    assert_eq!(result["points"], Value::Array(Vec::new()), "{result}");
    let cheated = server.cheated() as f64;
    assert_eq!(number(result, "/faults/corrupted"), cheated, "{result}");
}

#[test]
fn the_table_has_a_line_for_each_share() {
    let words = "sweep http --connections 4 --duration 200ms --warmup 0s --shares 5,10";
    let finished = run(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for word in ["peak ", "   5 %", "p99.99", "GET /plaintext", "Linux"] {
        assert!(
            finished.stdout.contains(word),
            "{word}: {}",
            finished.stdout
        );
    }
}
