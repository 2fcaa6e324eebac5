//! Values into places on an axis, and the values that are written at it.
//!
//! Places run from 0 to 1. Called by the charts.

use crate::report::Unit;

/// About so many ticks, where the range allows it.
const TICKS: f64 = 6.0;

/// More labels than this would touch.
const MAX_TICKS: usize = 9;

/// The first of these that leaves few enough ticks is used.
const LOG_STEPS: [&[f64]; 2] = [&[1.0, 2.0, 5.0], &[1.0]];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    is_log: bool,
    from: f64,
    to: f64,
    /// The values at which something is written, rising.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From zero to a round value that is not below `greatest`.
    pub(super) fn linear(greatest: f64) -> Self {
        let greatest = if greatest.is_finite() && greatest > 0.0 {
            greatest
        } else {
            1.0
        };
        let rough = greatest / TICKS;
        let decade = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * decade);
        // The last one is ten times the decade below.
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let count = (greatest / step - 1e-9).ceil().max(1.0);
        Self {
            is_log: false,
            from: 0.0,
            to: step * count,
            ticks: (0..=count as u32)
                .map(|tick| step * f64::from(tick))
                .collect(),
        }
    }

    /// Linear, with ticks that are round in the unit.
    pub(super) fn of(unit: Unit, greatest: f64) -> Self {
        let mut size = 1.0;
        while unit == Unit::Bytes && greatest >= size * 1024.0 {
            size *= 1024.0;
        }
        let mut scale = Self::linear(greatest / size);
        scale.to *= size;
        scale.ticks.iter_mut().for_each(|tick| *tick *= size);
        scale
    }

    /// Logarithmic between round values around `least` and `greatest`, both above zero.
    pub(super) fn log(least: f64, greatest: f64) -> Self {
        let least = least.max(f64::MIN_POSITIVE);
        let greatest = greatest.max(least);
        let round = |value: f64, is_below: bool| {
            let decade = 10_f64.powf(value.log10().floor());
            let mut candidates = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter();
            match is_below {
                true => candidates.rfind(|candidate| *candidate <= value * (1.0 + 1e-9)),
                false => candidates.find(|candidate| *candidate >= value * (1.0 - 1e-9)),
            }
            .unwrap_or(value)
        };
        let from = round(least, true);
        let mut to = round(greatest, false);
        if to <= from {
            to = from * 10.0;
        }
        let all = LOG_STEPS.map(|steps| log_ticks(from, to, steps));
        let [fine, coarse] = all;
        let ticks = if fine.len() <= MAX_TICKS {
            fine
        } else {
            coarse
        };
        Self {
            is_log: true,
            from,
            to,
            ticks,
        }
    }

    pub(super) fn is_beyond(&self, value: f64) -> bool {
        value > self.to
    }

    /// Where a value is; beyond an end it is at that end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.is_log {
            let value = value.max(self.from);
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }
}

fn log_ticks(from: f64, to: f64, steps: &[f64]) -> Vec<f64> {
    let first = from.log10().floor() as i32;
    let last = to.log10().ceil() as i32;
    let ticks = (first..=last).flat_map(|power| steps.iter().map(move |s| s * 10_f64.powi(power)));
    let is_inside = |tick: &f64| *tick >= from * (1.0 - 1e-9) && *tick <= to * (1.0 + 1e-9);
    ticks.filter(is_inside).collect()
}

/// A round value with its unit, as short as it goes.
pub(super) fn tick_label(unit: Unit, value: f64) -> String {
    let steps: &[(f64, &str)] = match unit {
        Unit::Ns => &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")],
        Unit::Rate => &[(1e6, " M"), (1e3, " k"), (1.0, "")],
        Unit::Bytes => &[
            (1073741824.0, " GiB"),
            (1048576.0, " MiB"),
            (1024.0, " KiB"),
            (1.0, " B"),
        ],
    };
    if value == 0.0 {
        return "0".to_owned();
    }
    let (size, name) = *steps
        .iter()
        .find(|(size, _)| value >= *size * (1.0 - 1e-9))
        .unwrap_or(&steps[steps.len() - 1]);
    let number = format!("{:.2}", value / size);
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_scales_begin_at_zero_and_end_round() {
        let scale = Scale::linear(119_019.0);
        assert_eq!((scale.from, scale.to), (0.0, 120_000.0));
        assert_eq!(scale.ticks.len(), 7);
        assert_eq!((scale.place(60_000.0), scale.place(1e9)), (0.5, 1.0));
        let scale = Scale::of(Unit::Bytes, 3.8 * 1048576.0);
        assert_eq!((scale.to, scale.ticks[1]), (4194304.0, 1048576.0));
        for odd in [0.0, -1.0, f64::NAN, 1e-12, 1e300] {
            let scale = Scale::linear(odd);
            assert!(
                scale.to > 0.0 && (2..=8).contains(&scale.ticks.len()),
                "{odd}"
            );
        }
    }

    #[test]
    fn log_scales_have_room_for_their_labels() {
        let scale = Scale::log(26_900.0, 6_010_000.0);
        assert_eq!((scale.from, scale.to), (20_000.0, 10_000_000.0));
        assert!((scale.place((20_000.0_f64 * 10_000_000.0).sqrt()) - 0.5).abs() < 1e-9);
        assert_eq!((scale.place(0.0), scale.place(1e12)), (0.0, 1.0));
        for (least, greatest) in [(1.0, 1.0), (0.0, 0.0), (3.0, 4.0), (1.0, 1e9), (7e4, 9e6)] {
            let scale = Scale::log(least, greatest);
            assert!(scale.to > scale.from, "{least} {greatest}");
            assert!((1..=MAX_TICKS + 2).contains(&scale.ticks.len()) || least == 0.0);
        }
    }

    #[test]
    fn labels_are_short() {
        let labels = [
            (Unit::Ns, 2e4),
            (Unit::Ns, 5e8),
            (Unit::Rate, 12e4),
            (Unit::Rate, 0.0),
        ];
        let labels = labels.map(|(unit, value)| tick_label(unit, value));
        assert_eq!(labels, ["20 µs", "500 ms", "120 k", "0"]);
        assert_eq!(tick_label(Unit::Bytes, 1536.0), "1.5 KiB");
        assert_eq!(tick_label(Unit::Rate, 0.25), "0.25");
    }
}
