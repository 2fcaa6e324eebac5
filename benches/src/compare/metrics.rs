//! Which numbers of a subcommand's JSON are compared.
//!
//! Owns the metrics with their units and directions, and reading one sample's JSON into
//! [`Observed`] rows. Called by `sample`, `tally` and the module.

use super::arguments::Kind;
use crate::report::{self, Unit};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) is_more_better: bool,
    /// Where it is in the result.
    #[serde(skip)]
    pointer: &'static str,
}

const fn rate(key: &'static str, name: &'static str, pointer: &'static str) -> Metric {
    Metric {
        key,
        name,
        unit: Unit::Rate,
        is_more_better: true,
        pointer,
    }
}

const fn cost(key: &'static str, name: &'static str, unit: Unit, pointer: &'static str) -> Metric {
    Metric {
        key,
        name,
        unit,
        is_more_better: false,
        pointer,
    }
}

const P50: Metric = cost("p50", "latency p50", Unit::Ns, "/latency_ns/p50");
const P99: Metric = cost("p99", "latency p99", Unit::Ns, "/latency_ns/p99");
const P99_9: Metric = cost("p99_9", "latency p99.9", Unit::Ns, "/latency_ns/p99_9");
const MAX: Metric = cost("max", "latency max", Unit::Ns, "/latency_ns/max");
const RESIDENT: Metric = cost(
    "resident_bytes",
    "server memory, resident",
    Unit::Bytes,
    "/server/resident_bytes_after",
);

static REQUESTS: [Metric; 7] = [
    rate(
        "requests_per_second",
        "requests per second",
        "/requests_per_second",
    ),
    rate(
        "requests_per_cpu_second",
        "requests per second of the server's CPU time",
        "/server/requests_per_cpu_second",
    ),
    P50,
    P99,
    P99_9,
    MAX,
    RESIDENT,
];

static DELIVERIES: [Metric; 7] = [
    rate(
        "deliveries_per_second",
        "deliveries per second",
        "/deliveries_per_second",
    ),
    rate(
        "deliveries_per_cpu_second",
        "deliveries per second of the server's CPU time",
        "/server/deliveries_per_cpu_second",
    ),
    P50,
    P99,
    P99_9,
    MAX,
    RESIDENT,
];

static IDLE: [Metric; 4] = [
    cost(
        "bytes_per_connection",
        "server memory for each connection",
        Unit::Bytes,
        "/server_bytes_per_connection",
    ),
    rate(
        "opened_per_second",
        "connections opened and used once, per second",
        "/opened_per_second",
    ),
    cost("p50", "answer p50", Unit::Ns, "/answer_ns/p50"),
    cost("p99", "answer p99", Unit::Ns, "/answer_ns/p99"),
];

static TIME: [Metric; 1] = [cost("time", "time of each operation", Unit::Ns, "")];
static MEMORY: [Metric; 1] = [cost("memory", "memory of each task", Unit::Bytes, "")];

/// One row of one sample.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Observed {
    pub(crate) row: String,
    #[serde(skip)]
    pub(crate) values: Vec<(&'static Metric, f64)>,
    /// Percentile and nanoseconds.
    #[serde(skip)]
    pub(crate) curve: Vec<(f64, f64)>,
    /// Why the load side may be what was measured.
    pub(crate) load_limits: Vec<String>,
    /// Requests that were due and never sent.
    pub(crate) unfinished: u64,
}

/// Reads what a server's load printed, as one row called `row`. An error is one phrase.
pub(crate) fn of_load(kind: Kind, row: &str, report: &Value) -> Result<Observed, String> {
    let metrics: &'static [Metric] = match kind {
        Kind::Echo | Kind::Http => &REQUESTS,
        Kind::Fanout => &DELIVERIES,
        Kind::Idle => &IDLE,
        Kind::Rt => return Err("rt has no load".to_owned()),
    };
    let result = &report["result"];
    let number = |metric: &'static Metric| {
        let value = result.pointer(metric.pointer).and_then(Value::as_f64);
        value.map(|value| (metric, value))
    };
    let values: Vec<_> = metrics.iter().filter_map(number).collect();
    if values.is_empty() {
        return Err("the load's JSON has none of the numbers".to_owned());
    }
    Ok(Observed {
        row: row.to_owned(),
        values,
        curve: curve(result),
        load_limits: texts(&result["load_limits"]),
        unfinished: result["unfinished"].as_u64().unwrap_or(0),
    })
}

fn curve(result: &Value) -> Vec<(f64, f64)> {
    let points = result
        .pointer("/latency_ns/curve")
        .and_then(Value::as_array);
    let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_f64()?));
    points.into_iter().flatten().filter_map(point).collect()
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    let texts = items.filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Reads the rows of a program of `rt`: a list, or our own report with the list as its result.
pub(crate) fn of_program(json: &Value) -> Result<Vec<Observed>, String> {
    let rows = json.as_array().or_else(|| json["result"].as_array());
    let rows = rows.ok_or("the program's JSON is no list of rows")?;
    rows.iter()
        .map(|row| of_row(row).ok_or_else(|| format!("not a row: {row}")))
        .collect()
}

fn of_row(row: &Value) -> Option<Observed> {
    let metric = match row["unit"].as_str()? {
        "ns" => &TIME[0],
        "bytes" => &MEMORY[0],
        _ => return None,
    };
    let runs = row["runs"].as_array()?;
    let runs: Vec<f64> = runs.iter().filter_map(Value::as_f64).collect();
    let (median, _, _) = report::median_and_spread(&runs)?;
    Some(Observed {
        row: row["name"].as_str()?.to_owned(),
        values: vec![(metric, median)],
        ..Observed::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_loads_json_is_read() {
        let report = json!({"result": {
            "requests_per_second": 5.5, "unfinished": 3, "load_limits": ["busy"],
            "server": {"requests_per_cpu_second": null, "resident_bytes_after": 4096},
            "latency_ns": {"p50": 7, "curve": [[0.0, 1], [50.0, 7]]},
        }});
        let observed = of_load(Kind::Http, "a row", &report).unwrap();
        let values: Vec<_> = observed.values.iter().map(|(m, v)| (m.key, *v)).collect();
        let expected = [
            ("requests_per_second", 5.5),
            ("p50", 7.0),
            ("resident_bytes", 4096.0),
        ];
        assert_eq!(values, expected);
        assert_eq!(observed.curve, [(0.0, 1.0), (50.0, 7.0)]);
        assert_eq!((observed.load_limits.len(), observed.unfinished), (1, 3));
        assert!(of_load(Kind::Idle, "a row", &report).is_err());
        assert!(of_load(Kind::Echo, "a row", &json!([])).is_err());
    }

    #[test]
    fn programs_have_a_row_for_each_operation() {
        let rows = json!([
            {"name": "yield-2", "unit": "ns", "count": 9, "runs": [30.5, 31.5]},
            {"name": "parked-10", "unit": "bytes", "count": 10, "runs": [4096]},
        ]);
        for json in [rows.clone(), json!({"result": rows})] {
            let rows = of_program(&json).unwrap();
            let found = |row: &Observed| (row.row.clone(), row.values[0].0.unit, row.values[0].1);
            assert_eq!(found(&rows[0]), ("yield-2".to_owned(), Unit::Ns, 31.0));
            assert_eq!(
                found(&rows[1]),
                ("parked-10".to_owned(), Unit::Bytes, 4096.0)
            );
        }
        for bad in [
            json!({}),
            json!([{"name": "x", "unit": "furlongs", "runs": [1]}]),
            json!([{"name": "x", "unit": "ns", "runs": []}]),
        ] {
            assert!(of_program(&bad).is_err(), "{bad}");
        }
    }
}
