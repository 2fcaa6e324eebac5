//! `compare` against servers of these tests: who is honest is compared, who is not is told of.

use crate::program::{Finished, json, number, run};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const CHEAT: &str = env!("CARGO_BIN_EXE_llam-bench-cheat");

/// A folder that is removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("llam-bench-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Writes a catalogue and returns its path.
    fn catalogue(&self, built: &[Value]) -> String {
        let skipped = json!([{"name": "go", "kind": "echo", "why": "there is no `go` on PATH"}]);
        let text = json!({"built": built, "skipped": skipped}).to_string();
        let path = self.path("rivals.json");
        fs::write(&path, text).expect("a file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn built(name: &str, kind: &str, role: &str, command: &[&str]) -> Value {
    json!({"name": name, "kind": kind, "role": role, "version": "1", "command": command, "note": ""})
}

fn compare(words: &str, catalogue: &str, rest: &[&str]) -> Finished {
    let mut arguments = vec!["compare"];
    arguments.extend(words.split(' '));
    arguments.extend(["--catalogue", catalogue]);
    arguments.extend(rest);
    run(&arguments)
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item[field].as_str()).collect()
}

#[test]
fn the_honest_are_compared_and_the_others_are_named() {
    let folder = Folder::new("compare");
    let catalogue = folder.catalogue(&[
        built("honest <&>", "echo", "peer", &[CHEAT, "honest"]),
        built("dropper", "echo", "peer", &[CHEAT, "drop"]),
        built(
            "mute",
            "echo",
            "peer",
            &["sh", "-c", "echo no port >&2; exit 1"],
        ),
        built("elsewhere", "http", "peer", &["no-such-program"]),
        built("bare", "echo", "limit", &[CHEAT, "honest"]),
    ]);
    let (page, logs) = (folder.path("page.html"), folder.path("logs"));
    let rest = ["--report", &page, "--hlog", &logs, "--", "--timeout", "1s"];
    let words = "echo --quick --json --repeats 0 --connections 2 --rate 0,300";
    let finished = compare(words, &catalogue, &rest);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = json(&finished);
    let result = &report["result"];
    let all = ["llam", "honest <&>", "dropper", "mute", "bare"];
    assert_eq!(names(&result["entries"], "name"), all);
    assert_eq!(names(&result["skipped"], "name"), ["go"]);

    let failed = result["failed"].as_array().expect("a list");
    let why = |entry: &str| {
        let of_entry = failed.iter().filter(|failed| failed["entry"] == entry);
        of_entry
            .filter_map(|failed| failed["why"].as_str())
            .collect::<Vec<_>>()
    };
    assert!(
        why("dropper").iter().any(|why| why.contains("faults")),
        "{failed:?}"
    );
    assert_eq!(why("mute").len(), 1, "it is not tried again: {failed:?}");
    assert!(
        why("mute")[0].ends_with("where it listens: no port"),
        "{failed:?}"
    );
    assert!(
        why("llam").is_empty() && why("bare").is_empty(),
        "{failed:?}"
    );

    let rows = &result["rows"];
    let shapes = ["connections 2, rate 0", "connections 2, rate 300"];
    assert_eq!(names(rows, "name"), shapes);
    for row in rows.as_array().expect("a list") {
        let compared = names(&row["cells"], "entry");
        for name in ["llam", "honest <&>", "bare"] {
            assert!(compared.contains(&name), "{name} in {compared:?}");
        }
        check_ratios(row);
    }
    // At 300 per second each server answers in time, and none gives more.
    let cells = rows[1]["cells"].as_array().expect("a list");
    for cell in cells.iter().filter(|cell| cell["entry"] != "dropper") {
        let rate = number(cell, "/figures/requests_per_second/median");
        assert!((200.0..400.0).contains(&rate), "{cell}");
    }

    let page = fs::read_to_string(&page).expect("the page was written");
    for name in [
        "llam",
        "honest &lt;&amp;&gt;",
        "dropper",
        "mute",
        "bare (limit)",
    ] {
        assert!(page.contains(name), "{name}");
    }
    let logs = fs::read_dir(&logs).expect("the folder was made");
    let logs: Vec<_> = logs.flatten().map(|file| file.file_name()).collect();
    for log in [
        "llam_connections_2_rate_0_1.hlog",
        "bare_connections_2_rate_300_1.hlog",
    ] {
        assert!(logs.iter().any(|name| name == log), "{log} in {logs:?}");
    }
}

/// Our median divided by the others', and nobody's limit among the peers.
fn check_ratios(row: &Value) {
    let median = |entry: &str, key: &str| {
        let cells = row["cells"].as_array().expect("a list");
        let cell = cells
            .iter()
            .find(|cell| cell["entry"] == entry)
            .expect("it is there");
        number(cell, &format!("/figures/{key}/median"))
    };
    for key in ["requests_per_second", "p99"] {
        let ratios = &row["ratios"][key];
        let expected = median("llam", key) / median("bare", key);
        let ratio = number(ratios, "/to_best_limit/ratio");
        assert!(
            (ratio / expected - 1.0).abs() < 1e-9,
            "{ratio} for {expected}"
        );
        assert_eq!(ratios["to_each"]["bare"], ratios["to_best_limit"]["ratio"]);
        assert_ne!(ratios["to_best_peer"]["entry"], "bare");
    }
}

#[test]
fn the_table_says_what_the_json_says() {
    let folder = Folder::new("compare-table");
    let catalogue = folder.catalogue(&[built("rival", "echo", "peer", &[CHEAT, "honest"])]);
    let finished = compare(
        "echo --quick --drivers",
        &catalogue,
        &["--with", "llam-epoll", "--with", "rival"],
    );
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for part in [
        "QUICK",
        "== defaults",
        "requests per second, more is better",
        "latency p99.9, less is better",
        "llam-epoll",
        "of the best peer, rival",
    ] {
        assert!(
            finished.stdout.contains(part),
            "{part} in {}",
            finished.stdout
        );
    }
    assert!(
        !finished.stdout.contains("llam-uring"),
        "{}",
        finished.stdout
    );
}

#[test]
fn idle_connections_and_operations_are_compared() {
    let folder = Folder::new("compare-other");
    let rows = r#"echo '[{"name":"select-default","unit":"ns","count":5,"runs":[1000000]}]'"#;
    let catalogue = folder.catalogue(&[
        built("rival", "echo", "peer", &[CHEAT, "honest"]),
        built("slowest", "rt", "peer", &["sh", "-c", rows]),
        built("liar", "rt", "peer", &["sh", "-c", "echo fast"]),
    ]);
    let finished = compare("idle --quick --json --connections 50", &catalogue, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = json(&finished);
    let row = &report["result"]["rows"][0];
    assert_eq!(names(&row["cells"], "entry"), ["llam", "rival"]);
    assert!(
        number(row, "/cells/0/figures/bytes_per_connection/median") > 1000.0,
        "{row}"
    );

    let passed = ["--", "--only", "select-default"];
    let finished = compare("rt --quick --json", &catalogue, &passed);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = json(&finished);
    let row = &report["result"]["rows"][0];
    assert_eq!(row["name"], "select-default");
    assert_eq!(names(&row["cells"], "entry"), ["llam", "slowest"]);
    assert_eq!(row["ratios"]["time"]["to_best_peer"]["entry"], "slowest");
    assert!(
        number(row, "/ratios/time/to_best_peer/ratio") < 1.0,
        "{row}"
    );
    let failed = &report["result"]["failed"];
    assert_eq!(names(failed, "entry"), ["liar"]);
}

#[test]
fn what_cannot_be_compared_is_said_at_once() {
    let folder = Folder::new("compare-errors");
    let missing = folder.path("missing.json");
    let catalogue = folder.catalogue(&[]);
    let twice = folder.path("twice.json");
    let same = built("same", "echo", "peer", &["x"]);
    fs::write(&twice, json!({"built": [same, same]}).to_string()).expect("it can be written");
    let broken = folder.path("broken.json");
    fs::write(&broken, "{").expect("it can be written");
    for (words, catalogue, rest, part) in [
        ("echo", &missing, &[][..], "cargo xtask rivals"),
        ("echo", &broken, &[], "is no catalogue"),
        ("echo", &twice, &[], "two entries are called same"),
        ("echo --with nobody", &catalogue, &[], "there is no nobody"),
        (
            "echo --with go",
            &catalogue,
            &[],
            "not built: there is no `go`",
        ),
        ("echo --without llam", &catalogue, &[], "nobody is left"),
        (
            "rt --connections 5",
            &catalogue,
            &[],
            "rt has no --connections",
        ),
        (
            "echo",
            &catalogue,
            &["--", "--pipeline", "2"],
            "before the --",
        ),
        ("echo --server-cpu 9999", &catalogue, &[], "CPU 9999"),
        (
            "echo --report /nonexistent/x.html",
            &catalogue,
            &[],
            "/nonexistent/x.html",
        ),
        (
            "echo --quick --limit 1ms",
            &catalogue,
            &[],
            "nobody could be measured",
        ),
    ] {
        let finished = compare(words, catalogue, rest);
        assert_eq!(finished.code, Some(1), "{words}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(part),
            "{part} in {}",
            finished.stderr
        );
    }
    for words in [
        "echo --quick --runs 2",
        "sweep",
        "echo --runs 0",
        "echo --server-cpu 0 --no-pin",
    ] {
        assert_eq!(compare(words, &catalogue, &[]).code, Some(2), "{words}");
    }
}
