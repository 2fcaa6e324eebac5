//! How results are shown: times with three digits, percentiles, JSON, histogram logs.
//!
//! Invariant: a table and its JSON come from one value, so they cannot disagree. Called by the
//! subcommands.

use crate::machine::Machine;
use crate::page;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Every report: what was measured, on what, with what result.
#[derive(Debug, Serialize)]
pub(crate) struct Report<S, R> {
    pub(crate) benchmark: &'static str,
    pub(crate) machine: Machine,
    pub(crate) settings: S,
    pub(crate) result: R,
}

impl<S: Serialize, R: Serialize> Report<S, R> {
    /// Prints JSON, or the table with the machine under it, and writes the page that was asked for.
    pub(crate) fn print(
        &self,
        as_json: bool,
        table: impl FnOnce(&Self) -> String,
    ) -> Result<(), String> {
        page::write(self)?;
        if as_json {
            let text = serde_json::to_string_pretty(self)
                .map_err(|error| format!("cannot write JSON: {error}"))?;
            print(&format!("{text}\n"))
        } else {
            print(&format!("{}\n{}", table(self), self.machine.lines()))
        }
    }
}

/// Prints to standard output and flushes; `println!` would panic when nobody reads it.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

/// Points of a curve for each tenfold of samples; six tenfolds and the maximum are 97 points.
const POINTS_PER_DECADE: u32 = 16;
const DECADES: u32 = 6;

/// What is quoted of a histogram, in nanoseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) samples: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) p99_99: u64,
    pub(crate) max: u64,
    /// Percentile and value, even steps of log(1 / (1 - p)) as far as there are samples; the last one is
    /// the maximum, at 100.
    pub(crate) curve: Vec<(f64, u64)>,
}

impl Percentiles {
    /// `None` when nothing was recorded.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            samples: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            p99_99: histogram.value_at_quantile(0.9999),
            max: histogram.max(),
            curve: curve(histogram),
        })
    }

    /// One row under [`PERCENTILE_HEADER`].
    pub(crate) fn row(&self, name: &str) -> String {
        let mut row = format!("{name:<14}");
        for ns in [
            self.p50,
            self.p90,
            self.p99,
            self.p99_9,
            self.p99_99,
            self.max,
        ] {
            row.push_str(&format!("{:>10}", time(ns)));
        }
        row.push_str(&format!("{:>12}\n", self.samples));
        row
    }
}

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let least_share = 1.0 / histogram.len() as f64;
    let mut points: Vec<_> = (0..POINTS_PER_DECADE * DECADES)
        .map(|step| 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_DECADE)))
        .take_while(|share| *share >= least_share)
        .map(|share| {
            // Seven digits tell all steps apart, and keep the JSON short.
            let percentile = ((1.0 - share) * 1e9).round() / 1e7;
            (percentile, histogram.value_at_quantile(1.0 - share))
        })
        .collect();
    points.push((100.0, histogram.max()));
    points
}

/// The columns of [`Percentiles::row`].
pub(crate) const PERCENTILE_HEADER: &str = concat!(
    "                     p50       p90       p99     p99.9    p99.99       max",
    "     samples\n"
);

/// A time with three digits and a unit.
pub(crate) fn time(ns: u64) -> String {
    time_of(ns as f64)
}

/// The same of a number that may have a fraction.
pub(crate) fn time_of(ns: f64) -> String {
    let (value, unit) = match ns {
        ..1e3 => (ns, "ns"),
        ..1e6 => (ns / 1e3, "µs"),
        ..1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Bytes with one digit after the point and a unit.
pub(crate) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1024.0 => format!("{bytes:.0} B"),
        ..1048576.0 => format!("{:.1} KiB", bytes / 1024.0),
        ..1073741824.0 => format!("{:.1} MiB", bytes / 1048576.0),
        _ => format!("{:.1} GiB", bytes / 1073741824.0),
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Something per second.
    Rate,
    Ns,
    Bytes,
}

impl Unit {
    /// A value with its unit; rates have none, since the metric's name says what they count.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Rate => grouped(value),
            Self::Ns => time_of(value),
            // The price of one task or connection in full: a tenth of a KiB would hide differences.
            Self::Bytes if value < 1048576.0 => format!("{value:.0} B"),
            Self::Bytes => bytes(value.round() as u64),
        }
    }
}

/// A whole number with a comma before each three digits; one below 100 keeps two digits of its fraction.
pub(crate) fn grouped(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-" } else { "" }.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Median, least and greatest; `None` of nothing.
pub(crate) fn median_and_spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, greatest) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    Some((median, least, greatest))
}

/// Writes one histogram per second in the format of HdrHistogram's log viewers: values in
/// nanoseconds, the maximum column in milliseconds.
pub(crate) fn write_hlog(
    path: &Path,
    start: SystemTime,
    intervals: &[Histogram<u64>],
) -> Result<(), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
    let file = File::create(path).map_err(|error| failed(&error))?;
    let mut file = BufWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("llam-bench: latencies in nanoseconds")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut file, &mut serializer)
        .map_err(|error| failed(&error))?;
    for (second, histogram) in (0..).map(Duration::from_secs).zip(intervals) {
        log.write_histogram(histogram, second, Duration::from_secs(1), None)
            .map_err(|error| failed(&format_args!("{error:?}")))?;
    }
    file.flush().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_keep_three_digits() {
        let times = [7, 1_234, 56_789, 999_000, 12_345_678, 2_500_000_000];
        let texts = times.map(time);
        assert_eq!(
            texts,
            [
                "7.00 ns", "1.23 µs", "56.8 µs", "999 µs", "12.3 ms", "2.50 s"
            ]
        );
        assert_eq!(bytes(100), "100 B");
        assert_eq!(bytes(4_543), "4.4 KiB");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
        assert_eq!(bytes(24 << 30), "24.0 GiB");
        let numbers = [0.0, 7.25, 999.6, 123_456.0, 1e6, -5_000.0].map(grouped);
        assert_eq!(
            numbers,
            ["0", "7.25", "1,000", "123,456", "1,000,000", "-5,000"]
        );
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in 1..=10_000 {
            histogram.record(value).unwrap();
        }
        let found = Percentiles::of(&histogram).unwrap();
        for (value, expected) in [
            (found.p50, 5_000),
            (found.p90, 9_000),
            (found.p99, 9_900),
            (found.p99_9, 9_990),
            (found.p99_99, 9_999),
            (found.max, 10_000),
        ] {
            let error = value.abs_diff(expected);
            assert!(error * 1000 <= expected, "{value} for {expected}");
        }
        assert!(Percentiles::of(&Histogram::new(3).unwrap()).is_none());

        let curve = found.curve;
        assert_eq!(
            curve.len(),
            66,
            "16 for each tenfold, both ends, and the maximum"
        );
        assert_eq!((curve[0].0, curve[65]), (0.0, (100.0, found.max)));
        assert_eq!((curve[16].0, curve[64].0), (90.0, 99.99));
        for (percentile, value) in curve {
            let exact = (percentile * 100.0).max(1.0);
            assert!(
                (value as f64 - exact).abs() <= exact * 0.001 + 1.0,
                "{percentile}: {value}"
            );
        }
    }
}
