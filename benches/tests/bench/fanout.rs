//! `fanout` accounts for every delivery, and finds out chat servers that cheat.

use crate::chat_cheat::{ChatCheat, ChatServer};
use crate::program::{json, measure, number, run};
use serde_json::Value;
use std::thread;

/// One sender whose hundred lines are due whatever comes through. Deliveries are held back in pairs, so
/// the number of them must not be a multiple of the cheating period.
const LOAD: &[&str] = &[
    "--clients",
    "4",
    "--senders",
    "1",
    "--rate",
    "200",
    "--duration",
    "400ms",
    "--warmup",
    "100ms",
    "--timeout",
    "1s",
];

const FAULTS: [&str; 5] = ["lost", "doubled", "reordered", "corrupted", "broken"];

/// Runs the load; the server cheated so often, and that has these counts and no other.
fn assert_exact(cheat: ChatCheat, faults: &[&str]) -> Value {
    let server = ChatServer::start(cheat);
    let (code, result) = measure("fanout", server.address, LOAD);
    assert_eq!(code, Some(1), "the run counts as failed: {result}");
    let cheated = server.cheated() as f64;
    assert!(cheated > 0.0, "the server had no occasion: {result}");
    for fault in FAULTS {
        let expected = if faults.contains(&fault) {
            cheated
        } else {
            0.0
        };
        let counted = number(&result, &format!("/{fault}"));
        assert_eq!(counted, expected, "{cheat:?}, {fault}: {result}");
    }
    assert_eq!(number(&result, "/expected"), 300.0, "{result}");
    result
}

#[test]
fn an_honest_server_has_no_faults() {
    let shapes = [
        &["--rate", "300"][..],
        &["--pipeline", "3"],
        &["--threads", "2", "--size", "500"],
        &["--senders", "6", "--mode", "best-effort"],
        &["--rate", "300", "--senders", "2", "--threads", "3"],
    ];
    thread::scope(|scope| {
        for extra in shapes {
            scope.spawn(move || {
                let server = ChatServer::start(ChatCheat::Honest);
                let load = ["--clients", "6", "--duration", "400ms", "--warmup", "100ms"];
                let (code, result) = measure("fanout", server.address, &[&load, extra].concat());
                assert_eq!(code, Some(0), "{extra:?}: {result}");
                let sent = number(&result, "/sent");
                assert!(sent > 20.0, "{extra:?}: {result}");
                assert_eq!(number(&result, "/expected"), sent * 5.0, "{result}");
                assert_eq!(number(&result, "/received"), sent * 5.0, "{result}");
                assert_eq!(number(&result, "/notices/lost"), 0.0, "{result}");
                assert_eq!(result["server_counts"], Value::Null);
                assert!(number(&result, "/latency_ns/p50") > 0.0, "{result}");
            });
        }
    });
}

#[test]
fn dropped_deliveries_are_lost() {
    assert_exact(ChatCheat::Drop, &["lost"]);
}

#[test]
fn doubled_deliveries_are_doubled() {
    assert_exact(ChatCheat::Double, &["doubled"]);
}

#[test]
fn deliveries_in_another_order_are_reordered() {
    assert_exact(ChatCheat::Reorder, &["reordered"]);
}

/// The line that should have come is missing as well.
#[test]
fn changed_bytes_are_corruption() {
    let result = assert_exact(ChatCheat::FlipBit, &["corrupted", "lost"]);
    assert!(result["first_complaint"].is_string(), "{result}");
    let result = assert_exact(ChatCheat::Rename, &["corrupted", "lost"]);
    let complaint = result["first_complaint"].as_str().expect("a complaint");
    assert!(complaint.contains("name"), "{complaint}");
}

#[test]
fn a_line_must_not_come_back() {
    assert_exact(ChatCheat::SendBack, &["corrupted"]);
}

#[test]
fn an_ended_connection_is_broken() {
    let server = ChatServer::start(ChatCheat::Close);
    let (code, result) = measure("fanout", server.address, LOAD);
    assert_eq!((code, server.cheated()), (Some(1), 1), "{result}");
    assert_eq!(number(&result, "/broken"), 1.0, "{result}");
    assert!(number(&result, "/lost") > 0.0, "{result}");
}

/// Without the server's own account, what is lost in best-effort mode may be what it dropped.
#[test]
fn best_effort_may_lose_and_nothing_else() {
    let best_effort = [LOAD, &["--mode", "best-effort"]].concat();
    let server = ChatServer::start(ChatCheat::Drop);
    let (code, result) = measure("fanout", server.address, &best_effort);
    assert_eq!(code, Some(0), "{result}");
    assert_eq!(number(&result, "/lost"), server.cheated() as f64);
    let server = ChatServer::start(ChatCheat::Double);
    let (code, result) = measure("fanout", server.address, &best_effort);
    assert_eq!(code, Some(1), "{result}");
}

/// A run on the chat example; the report.
fn on_the_example(words: &str) -> Value {
    let mut arguments = vec!["fanout", "--json", "--server-workers", "1"];
    arguments.extend(words.split(' '));
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(0), "{words}: {}", finished.stderr);
    json(&finished)
}

#[test]
fn the_examples_own_account_agrees() {
    let words = "--clients 12 --senders 3 --pipeline 4 --duration 400ms --warmup 100ms";
    let report = on_the_example(words);
    let result = &report["result"];
    let sent = number(result, "/sent");
    assert_eq!(number(result, "/received"), sent * 11.0, "{result}");
    assert_eq!(number(result, "/server_counts/messages"), sent + 12.0);
    assert_eq!(number(result, "/notices/delivered"), 66.0, "{result}");
    assert!(number(result, "/server/deliveries_per_cpu_second") > 0.0);
    assert!(number(result, "/deliveries_per_second") > 0.0);
}

/// Lines of 4000 bytes, so that they do not fit into what the kernel keeps for clients that do not read.
#[test]
fn what_slow_clients_miss_is_what_the_server_dropped() {
    let words = "--mode best-effort --clients 4 --senders 1 --slow 2 --size 4000 --rate 2500 \
                 --duration 1s --warmup 0s";
    let report = on_the_example(words);
    let result = &report["result"];
    let slow_lost = number(result, "/slow/lost");
    assert!(slow_lost > 100.0, "{result}");
    let lost = slow_lost + number(result, "/lost") + number(result, "/notices/lost");
    assert_eq!(
        number(result, "/server_counts/full_drops"),
        lost,
        "{result}"
    );
    assert!(number(result, "/slow/delivered") > 0.0, "{result}");
    let expected = number(result, "/sent") * 2.0;
    assert_eq!(number(result, "/slow/expected"), expected, "{result}");
}

#[test]
fn the_table_has_the_accounts() {
    let words = "fanout --clients 4 --senders 2 --rate 200 --duration 300ms --warmup 0s";
    let finished = run(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for word in [
        "p99.99",
        "deliveries/s",
        "60 lines sent",
        "own account agrees",
    ] {
        assert!(
            finished.stdout.contains(word),
            "{word}: {}",
            finished.stdout
        );
    }
}

#[test]
fn shapes_that_cannot_work_are_refused() {
    for words in [
        "--clients 4 --senders 5",
        "--clients 4 --threads 3",
        "--slow 1",
    ] {
        let mut arguments = vec!["fanout"];
        arguments.extend(words.split(' '));
        let finished = run(&arguments);
        assert_eq!(finished.code, Some(1), "{words}: {}", finished.stdout);
    }
}
