//! What all samples together say: medians with spread, ratios, and what is wrong with them.
//!
//! Invariants: a sample with faults is in no figure; one whose load side was the limit, or that was
//! disturbed to the last repetition, is, and its entry says so. Peers and limits are never mixed.
//! Filled by the module, read by `table` and the page.

use super::catalogue::{Entry, OURS, Role};
use super::metrics::{Metric, Observed};
use super::sample::Sample;
use crate::report;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is compared in one row: one shape of load, or one operation.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) metrics: Vec<&'static Metric>,
    /// In the order of the entries; who has no sample is missing.
    pub(crate) cells: Vec<Cell>,
    /// The entry that the ratios are about: llam, or the first of its kind when that has no sample.
    pub(crate) ours: Option<String>,
    /// By metric.
    pub(crate) ratios: BTreeMap<&'static str, Ratios>,
}

/// One entry in one row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) entry: String,
    pub(crate) role: Role,
    /// Samples in the figures.
    pub(crate) samples: usize,
    /// By metric.
    pub(crate) figures: BTreeMap<&'static str, Figure>,
    /// Percentile and nanoseconds: at each percentile the median of the samples.
    pub(crate) curve: Vec<(f64, f64)>,
    /// Samples whose load side may have been the limit, one phrase each.
    pub(crate) load_limits: Vec<String>,
    /// Samples that were disturbed, one phrase each.
    pub(crate) disturbed: Vec<String>,
    /// Samples in which requests were due and never sent.
    pub(crate) overloaded: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
    /// In the order in which they were taken.
    pub(crate) samples: Vec<f64>,
}

/// Our median divided by that of others: above 1 we have more of it, for better or worse.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Ratios {
    pub(crate) to_each: BTreeMap<String, f64>,
    pub(crate) to_best_peer: Option<ToBest>,
    pub(crate) to_best_limit: Option<ToBest>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ToBest {
    pub(crate) entry: String,
    pub(crate) ratio: f64,
}

/// Everything so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Row, entry, sample; rows in the order in which they first came.
    rows: Vec<(String, Vec<Taken>)>,
}

#[derive(Debug)]
struct Taken {
    entry: String,
    observed: Observed,
    /// Why it counts as disturbed.
    disturbed: Option<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, entry: &Entry, sample: Sample) {
        let disturbed = sample.disturbance;
        for observed in sample.rows {
            let taken = Taken {
                entry: entry.name.clone(),
                disturbed: disturbed.is_harmful().then(|| disturbed.reasons.join(", ")),
                observed,
            };
            let name = &taken.observed.row;
            match self.rows.iter_mut().find(|(row, _)| row == name) {
                Some((_, all)) => all.push(taken),
                None => self.rows.push((name.clone(), vec![taken])),
            }
        }
    }

    pub(crate) fn rows(&self, entries: &[Entry]) -> Vec<Row> {
        let rows = self.rows.iter();
        rows.map(|(name, taken)| row(name, taken, entries))
            .collect()
    }
}

fn row(name: &str, taken: &[Taken], entries: &[Entry]) -> Row {
    let mut metrics: Vec<&'static Metric> = Vec::new();
    for (metric, _) in taken.iter().flat_map(|taken| &taken.observed.values) {
        if !metrics.contains(metric) {
            metrics.push(metric);
        }
    }
    let cells: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let of_entry = taken.iter().filter(|taken| taken.entry == entry.name);
            let of_entry: Vec<_> = of_entry.collect();
            (!of_entry.is_empty()).then(|| cell(entry, &of_entry, &metrics))
        })
        .collect();
    let ours = cells.iter().find(|cell| cell.entry == OURS);
    let ours = ours.or_else(|| cells.iter().find(|cell| cell.role == Role::Ours));
    let ratios = metrics
        .iter()
        .filter_map(|metric| Some((metric.key, ratios(metric, ours?, &cells)?)))
        .collect();
    Row {
        name: name.to_owned(),
        ours: ours.map(|cell| cell.entry.clone()),
        metrics,
        cells,
        ratios,
    }
}

fn cell(entry: &Entry, taken: &[&Taken], metrics: &[&'static Metric]) -> Cell {
    let figure = |metric: &'static Metric| {
        let values = taken.iter().flat_map(|taken| &taken.observed.values);
        let samples: Vec<_> = values
            .filter(|(of, _)| *of == metric)
            .map(|(_, value)| *value)
            .collect();
        let (median, least, greatest) = report::median_and_spread(&samples)?;
        let figure = Figure {
            median,
            least,
            greatest,
            samples,
        };
        Some((metric.key, figure))
    };
    let limits = taken
        .iter()
        .map(|taken| taken.observed.load_limits.join(", "));
    Cell {
        entry: entry.name.clone(),
        role: entry.role,
        samples: taken.len(),
        figures: metrics.iter().copied().filter_map(figure).collect(),
        curve: median_curve(taken),
        load_limits: limits.filter(|limits| !limits.is_empty()).collect(),
        disturbed: taken
            .iter()
            .filter_map(|taken| taken.disturbed.clone())
            .collect(),
        overloaded: taken
            .iter()
            .filter(|taken| taken.observed.unfinished > 0)
            .count(),
    }
}

/// Samples differ in length, and a longer one knows higher percentiles: the curve ends with the
/// shortest, whose last point is its maximum and left out.
fn median_curve(taken: &[&Taken]) -> Vec<(f64, f64)> {
    let curves: Vec<_> = taken.iter().map(|taken| &taken.observed.curve).collect();
    let shortest = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
    (0..shortest.saturating_sub(1))
        .filter_map(|place| {
            let values: Vec<_> = curves.iter().map(|curve| curve[place].1).collect();
            let (median, ..) = report::median_and_spread(&values)?;
            Some((curves[0][place].0, median))
        })
        .collect()
}

/// `None` when `ours` has no figure.
fn ratios(metric: &Metric, ours: &Cell, cells: &[Cell]) -> Option<Ratios> {
    let median = |cell: &Cell| Some(cell.figures.get(metric.key)?.median);
    let our_median = median(ours)?;
    let ratio = |cell: &Cell| {
        let other = median(cell).filter(|other| *other > 0.0)?;
        Some(our_median / other)
    };
    let best_of = |role| {
        let those = cells.iter().filter(|cell| cell.role == role);
        let ratios = those.filter_map(|cell| Some((&cell.entry, ratio(cell)?)));
        // Whoever has most makes our ratio the least.
        let best = match metric.is_more_better {
            true => ratios.min_by(|one, other| one.1.total_cmp(&other.1)),
            false => ratios.max_by(|one, other| one.1.total_cmp(&other.1)),
        };
        best.map(|(entry, ratio)| ToBest {
            entry: entry.clone(),
            ratio,
        })
    };
    let others = cells.iter().filter(|cell| cell.entry != ours.entry);
    Some(Ratios {
        to_each: others
            .filter_map(|cell| Some((cell.entry.clone(), ratio(cell)?)))
            .collect(),
        to_best_peer: best_of(Role::Peer),
        to_best_limit: best_of(Role::Limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::arguments::Kind;
    use crate::compare::disturbance::Disturbance;
    use crate::compare::metrics;
    use serde_json::json;

    fn entry(name: &str, role: Role) -> Entry {
        Entry {
            name: name.to_owned(),
            role,
            version: String::new(),
            command: Vec::new(),
            environment: Vec::new(),
            note: None,
        }
    }

    fn sample(rate: f64, p50: u64, reasons: &[&str]) -> Sample {
        let report = json!({"result": {
            "requests_per_second": rate,
            "latency_ns": {"p50": p50, "curve": [[0.0, p50], [50.0, p50], [100.0, p50 * 9]]},
            "load_limits": if rate > 900.0 { vec!["busy"] } else { vec![] },
            "unfinished": if rate < 2.0 { 5 } else { 0 },
        }});
        Sample {
            rows: vec![metrics::of_load(Kind::Echo, "row", &report).unwrap()],
            disturbance: Disturbance {
                hiccup_ns: 0,
                stolen: 0.0,
                others: 0.0,
                load_average: 0.0,
                reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            },
        }
    }

    fn entries() -> Vec<Entry> {
        vec![
            entry("llam", Role::Ours),
            entry("slow", Role::Peer),
            entry("fast", Role::Peer),
            entry("bare", Role::Limit),
            entry("absent", Role::Peer),
        ]
    }

    fn tallied() -> Row {
        let mut tally = Tally::default();
        let all = entries();
        for (entry, rate, p50) in [
            (0, 100.0, 20),
            (1, 50.0, 40),
            (2, 80.0, 10),
            (3, 400.0, 5),
            (0, 90.0, 26),
            (1, 1.0, 44),
            (2, 100.0, 12),
            (3, 1000.0, 5),
            (0, 120.0, 22),
        ] {
            let reasons: &[&str] = if entry == 1 { &["noise", "more"] } else { &[] };
            tally.add(&all[entry], sample(rate, p50, reasons));
        }
        tally.rows(&all).remove(0)
    }

    #[test]
    fn medians_have_their_spread() {
        let row = tallied();
        let names: Vec<_> = row.cells.iter().map(|cell| &*cell.entry).collect();
        assert_eq!(names, ["llam", "slow", "fast", "bare"]);
        let ours = &row.cells[0].figures["requests_per_second"];
        assert_eq!(
            (ours.median, ours.least, ours.greatest),
            (100.0, 90.0, 120.0)
        );
        assert_eq!(ours.samples, [100.0, 90.0, 120.0]);
        assert_eq!(row.cells[2].figures["requests_per_second"].median, 90.0);
        assert_eq!(
            row.cells[0].curve,
            [(0.0, 22.0), (50.0, 22.0)],
            "without the maximum"
        );
    }

    #[test]
    fn the_best_depends_on_the_direction() {
        let row = tallied();
        let rates = &row.ratios["requests_per_second"];
        let close = |ratio: f64, expected: f64| assert!((ratio - expected).abs() < 1e-9, "{ratio}");
        close(rates.to_each["fast"], 100.0 / 90.0);
        close(rates.to_each["slow"], 100.0 / 25.5);
        let peer = rates.to_best_peer.as_ref().unwrap();
        assert_eq!(peer.entry, "fast");
        close(peer.ratio, 100.0 / 90.0);
        let limit = rates.to_best_limit.as_ref().unwrap();
        assert_eq!(limit.entry, "bare");
        close(limit.ratio, 100.0 / 700.0);
        let latency = &row.ratios["p50"];
        assert_eq!(latency.to_best_peer.as_ref().unwrap().entry, "fast");
        close(latency.to_each["fast"], 2.0);
        assert!(!latency.to_each.contains_key("llam"));
    }

    #[test]
    fn flags_stay_with_their_entry() {
        let row = tallied();
        let flags: Vec<_> = row
            .cells
            .iter()
            .map(|cell| {
                (
                    cell.load_limits.len(),
                    cell.disturbed.len(),
                    cell.overloaded,
                )
            })
            .collect();
        assert_eq!(flags, [(0, 0, 0), (0, 2, 1), (0, 0, 0), (1, 0, 0)]);
        assert_eq!(row.cells[1].disturbed[0], "noise, more");
    }

    #[test]
    fn without_us_there_are_no_ratios() {
        let mut tally = Tally::default();
        let all = entries();
        tally.add(&all[1], sample(5.0, 5, &[]));
        let rows = tally.rows(&all);
        assert!(rows[0].ratios.is_empty() && rows[0].ours.is_none());
    }
}
