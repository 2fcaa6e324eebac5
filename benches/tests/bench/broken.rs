//! Servers that cheat are found out, each for what it does and with the right count.

use crate::cheat::{Cheat, STALL, Server};
use crate::program::{echo, measure, number};
use serde_json::Value;
use std::thread;

const FAULTS: [&str; 9] = [
    "lost",
    "doubled",
    "extra",
    "reordered",
    "foreign",
    "corrupted",
    "broken",
    "abandoned",
    "refused",
];

/// A short load that leaves room for a slow machine.
pub(crate) const LOAD: &[&str] = &[
    "--connections",
    "4",
    "--duration",
    "500ms",
    "--warmup",
    "100ms",
    "--timeout",
    "3s",
];

fn faults_of(server: &Server, extra: &[&str], allowed: &[&str]) -> Value {
    result_with_faults("echo", server, extra, allowed)["faults"].clone()
}

/// Runs the load and checks that there are faults, of the `allowed` kinds only.
pub(crate) fn result_with_faults(
    subcommand: &str,
    server: &Server,
    extra: &[&str],
    allowed: &[&str],
) -> Value {
    let (code, result) = measure(subcommand, server.address, &[LOAD, extra].concat());
    assert_eq!(code, Some(1), "the run counts as failed: {result}");
    assert!(server.cheated() > 0, "the server had no occasion: {result}");
    for fault in FAULTS {
        let count = number(&result["faults"], &format!("/{fault}"));
        assert!(
            count == 0.0 || allowed.contains(&fault),
            "{fault}: {result}"
        );
    }
    result
}

fn assert_exact(cheat: Cheat, extra: &[&str], fault: &str) {
    let server = Server::start(cheat);
    let faults = faults_of(&server, extra, &[fault]);
    let counted = number(&faults, &format!("/{fault}"));
    assert_eq!(counted, server.cheated() as f64, "{faults}");
}

#[test]
fn an_honest_server_has_no_faults() {
    let shapes = [
        &["--pipeline", "8"][..],
        &["--rate", "500"],
        &["--churn", "3", "--pipeline", "2"],
        &["--threads", "2", "--size", "6400"],
    ];
    thread::scope(|scope| {
        for extra in shapes {
            scope.spawn(move || {
                let server = Server::start(Cheat::Honest);
                let (code, result) = echo(server.address, &[LOAD, extra].concat());
                assert_eq!(code, Some(0), "{extra:?}: {result}");
                assert_eq!(number(&result, "/total_faults"), 0.0);
                assert!(number(&result, "/answers") > 20.0, "{extra:?}: {result}");
            });
        }
    });
}

#[test]
fn dropped_answers_are_lost() {
    assert_exact(Cheat::Drop, &["--pipeline", "4"], "lost");
}

#[test]
fn a_dropped_answer_that_nothing_follows_is_lost() {
    assert_exact(Cheat::Drop, &[], "lost");
}

#[test]
fn doubled_answers_are_doubled() {
    assert_exact(Cheat::Double, &[], "doubled");
}

#[test]
fn swapped_answers_are_reordered() {
    assert_exact(Cheat::Swap, &["--pipeline", "4"], "reordered");
}

#[test]
fn answers_of_other_connections_are_foreign() {
    assert_exact(Cheat::SwapAcross, &[], "foreign");
}

#[test]
fn a_flipped_bit_is_corruption() {
    assert_exact(Cheat::FlipInBody, &["--pipeline", "4"], "corrupted");
    assert_exact(Cheat::FlipInHeader, &[], "corrupted");
}

/// Where nothing follows it, the rest of the answer is waited for until it is lost.
#[test]
fn a_missing_byte_is_corruption() {
    let server = Server::start(Cheat::CutByte);
    let faults = faults_of(
        &server,
        &["--pipeline", "4"],
        &["corrupted", "abandoned", "lost"],
    );
    assert!(number(&faults, "/corrupted") > 0.0, "{faults}");
}

#[test]
fn ended_connections_are_broken() {
    let server = Server::start(Cheat::Close);
    let faults = faults_of(&server, &[], &["broken", "lost"]);
    assert_eq!(number(&faults, "/broken"), server.cheated() as f64);
}

/// The open loop counts everybody who came during the stall, the closed loop only who was there.
#[test]
fn a_stall_shows_in_the_open_loop_only() {
    const LONG: &[&str] = &["--duration", "2s", "--warmup", "0s", "--connections", "1"];
    let run = |extra: &[&str]| {
        let server = Server::start(Cheat::Stall);
        let (code, result) = echo(server.address, &[LONG, extra].concat());
        assert_eq!((code, server.cheated()), (Some(0), 1), "{result}");
        result
    };
    let (closed, open) = thread::scope(|scope| {
        let closed = scope.spawn(|| run(&[]));
        let open = run(&["--rate", "500"]);
        (closed.join().expect("the closed loop runs"), open)
    });

    let stall = STALL.as_nanos() as f64;
    assert!(number(&closed, "/latency_ns/max") >= stall, "{closed}");
    assert!(number(&open, "/latency_ns/max") >= stall * 0.9, "{open}");
    assert!(number(&closed, "/latency_ns/samples") > 101.0, "{closed}");
    assert!(number(&closed, "/latency_ns/p99") < stall / 2.0, "{closed}");
    assert!(number(&open, "/latency_ns/p99") > stall / 2.0, "{open}");
}

#[test]
fn more_than_the_server_can_do_is_not_hidden() {
    let server = Server::start(Cheat::Slow);
    let arguments = "--rate 1000 --connections 1 --duration 1s --warmup 0s --timeout 500ms";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let (_, result) = echo(server.address, &arguments);
    let samples = number(&result, "/latency_ns/samples");
    assert_eq!(samples, 1000.0, "all that were due count: {result}");
    assert!(number(&result, "/unfinished") > 300.0, "{result}");
    assert!(number(&result, "/latency_ns/p50") > 3e8, "{result}");
}
