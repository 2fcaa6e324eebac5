//! `http` measures, and finds out HTTP servers that cheat, each for what it does.

use crate::broken::{LOAD, result_with_faults};
use crate::cheat::{Cheat, Server};
use crate::program::{json, measure, number, run};
use crate::wire::Wire;
use serde_json::Value;
use std::thread;

/// Requests that the answers can be told apart by.
const ECHO: &[&str] = &["--echo", "--pipeline", "4"];

fn faults_of(cheat: Cheat, extra: &[&str], allowed: &[&str]) -> (Value, u64) {
    let server = Server::speaking(Wire::Http, cheat);
    let result = result_with_faults("http", &server, extra, allowed);
    (result, server.cheated())
}

/// The counts of these faults together are what the server did.
fn assert_exact(cheat: Cheat, extra: &[&str], faults: &[&str]) -> Value {
    let (result, cheated) = faults_of(cheat, extra, faults);
    let count = |fault: &&str| number(&result["faults"], &format!("/{fault}"));
    let counted: f64 = faults.iter().map(count).sum();
    assert_eq!(counted, cheated as f64, "{result}");
    result
}

#[test]
fn an_honest_server_has_no_faults() {
    let shapes = [
        &["--pipeline", "8"][..],
        &["--rate", "500", "--expect-body", "Hello, World!"],
        &["--churn", "3", "--pipeline", "2", "--host", "example.org"],
        &["--echo", "--pipeline", "4", "--threads", "2"],
        &["--echo", "--size", "20000"],
    ];
    thread::scope(|scope| {
        for (extra, wire) in shapes
            .iter()
            .flat_map(|extra| [(extra, Wire::Http), (extra, Wire::HttpChunked)])
        {
            scope.spawn(move || {
                let server = Server::speaking(wire, Cheat::Honest);
                let (code, result) = measure("http", server.address, &[LOAD, extra].concat());
                assert_eq!(code, Some(0), "{wire:?} {extra:?}: {result}");
                assert_eq!(number(&result, "/total_faults"), 0.0);
                assert!(number(&result, "/answers") > 20.0, "{extra:?}: {result}");
            });
        }
    });
}

#[test]
fn dropped_answers_are_lost() {
    assert_exact(Cheat::Drop, &[], &["lost"]);
    assert_exact(Cheat::Drop, ECHO, &["lost"]);
}

/// Those that are still open when nothing has come for the whole timeout are not known to be lost,
/// but no answer was right that is not there.
#[test]
fn dropped_answers_among_others_are_missed_in_the_end() {
    assert_exact(Cheat::Drop, &["--pipeline", "4"], &["lost", "abandoned"]);
}

#[test]
fn doubled_answers_were_never_asked_for() {
    assert_exact(Cheat::Double, &[], &["extra"]);
    assert_exact(Cheat::Double, &["--pipeline", "4"], &["extra"]);
    assert_exact(Cheat::Double, ECHO, &["doubled"]);
}

#[test]
fn swapped_answers_are_seen_where_they_carry_a_message() {
    assert_exact(Cheat::Swap, ECHO, &["reordered"]);
    assert_exact(Cheat::SwapAcross, &["--echo"], &["foreign"]);
}

#[test]
fn a_flipped_bit_is_corruption() {
    let result = assert_exact(Cheat::FlipInBody, &["--pipeline", "4"], &["corrupted"]);
    let complaint = result["first_complaint"].as_str().expect("a complaint");
    assert!(complaint.contains("body"), "{complaint}");
    assert_exact(Cheat::FlipInBody, ECHO, &["corrupted"]);
    assert_exact(Cheat::FlipInHeader, &[], &["corrupted"]);
}

#[test]
fn another_status_is_no_right_answer() {
    let result = assert_exact(Cheat::WrongStatus, &[], &["corrupted"]);
    let complaint = result["first_complaint"].as_str().expect("a complaint");
    assert!(complaint.contains("503"), "{complaint}");
}

#[test]
fn another_body_than_expected_is_no_right_answer() {
    let server = Server::speaking(Wire::Http, Cheat::Honest);
    let extra = ["--expect-body", "Hello, world!", "--rate", "100"];
    let (code, result) = measure("http", server.address, &[LOAD, &extra].concat());
    assert_eq!(code, Some(1));
    assert_eq!(number(&result, "/faults/corrupted"), 60.0, "{result}");
    assert_eq!(number(&result, "/answers"), 0.0, "{result}");
}

/// Where nothing follows it, the rest of the answer is waited for until it is lost.
#[test]
fn wrong_lengths_are_corruption() {
    for cheat in [Cheat::CutByte, Cheat::LongLength, Cheat::ShortLength] {
        for shape in [&["--pipeline", "4"][..], ECHO] {
            let allowed = ["corrupted", "abandoned", "lost"];
            let (result, _) = faults_of(cheat, shape, &allowed);
            assert!(number(&result, "/faults/corrupted") > 0.0, "{result}");
        }
    }
}

#[test]
fn a_truncated_answer_that_nothing_follows_is_lost() {
    assert_exact(Cheat::CutByte, &[], &["lost"]);
}

#[test]
fn ended_connections_are_broken() {
    let (result, cheated) = faults_of(Cheat::Close, &[], &["broken", "lost"]);
    assert_eq!(
        number(&result, "/faults/broken"),
        cheated as f64,
        "{result}"
    );
}

#[test]
fn a_connection_that_the_server_announces_to_close_is_made_again() {
    let server = Server::speaking(Wire::Http, Cheat::SayClose);
    let (code, result) = measure("http", server.address, LOAD);
    assert_eq!(code, Some(0), "{result}");
    assert!(number(&result, "/connecting_ns/samples") > 0.0, "{result}");
}

#[test]
fn http_measures_the_server_that_it_starts() {
    for extra in [&["--pipeline", "16"][..], &["--echo", "--rate", "300"]] {
        let words = "http --json --connections 8 --duration 300ms --warmup 0s --server-workers 1";
        let mut arguments: Vec<_> = words.split(' ').collect();
        arguments.extend(extra);
        let finished = run(&arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let report = json(&finished);
        assert_eq!(report["benchmark"], "http");
        assert!(number(&report, "/result/answers") > 50.0, "{report}");
        assert!(number(&report, "/result/server/resident_bytes_after") > 1e5);
    }
}

#[test]
fn idle_connections_of_no_http_server_are_told_of_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Write::write_all(&mut stream, b"220 this is no HTTP\r\n\r\n");
            open.push(stream);
        }
    });
    let own = std::process::id().to_string();
    let words = "idle --protocol http --connections 3 --address";
    let mut arguments: Vec<_> = words.split(' ').collect();
    arguments.extend([&*address, "--pid", &*own]);
    let finished = crate::program::run(&arguments);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("wrong answer"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_pid_that_nobody_has_is_told_of_before_the_run() {
    let began = std::time::Instant::now();
    let finished = crate::program::run(&[
        "http",
        "--duration",
        "30s",
        "--address",
        "127.0.0.1:1",
        "--pid",
        "999999999",
    ]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("999999999"), "{}", finished.stderr);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
