//! Bars with their spread: one chart for each number that is compared.
//!
//! Bars begin at zero, so that their lengths can be compared; the thin line over a bar's end goes from
//! the least to the greatest sample. Whoever is far out must not make all others too short to compare: the
//! axis ends early, a bar that goes on has a gap, a spread that goes on an arrow, and the number behind
//! the bar is the whole one. Called by `single` and `compare`.

use super::html::escape;
use super::lines::Look;
use super::scale::{Scale, tick_label};
use crate::report::{Unit, median_and_spread};
use std::fmt::Write;

const WIDTH: f64 = 580.0;
/// For the names, and for the values on the right.
const LEFT: f64 = 136.0;
const RIGHT: f64 = 104.0;
const TOP: f64 = 6.0;
const ROW: f64 = 26.0;
const BAR: f64 = 15.0;
const BOTTOM: f64 = 26.0;

/// A longer name would reach into its bar.
const NAME_LETTERS: usize = 18;

/// The axis ends at this many times the longest bar, and at this many times the middle one, at the latest.
const MAX_OVER_LONGEST: f64 = 2.0;
const MAX_OVER_MIDDLE: f64 = 6.0;

/// Labels along the axis, beside zero.
const LABELS: usize = 4;

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
    /// Flags, written behind the value.
    pub(super) marks: String,
}

/// Nothing when there are no bars.
pub(super) fn bars(title: &str, unit: Unit, bars: &[Bar]) -> String {
    if bars.is_empty() {
        return String::new();
    }
    let greatest = bars.iter().map(|bar| bar.greatest).fold(0.0, f64::max);
    let medians: Vec<_> = bars.iter().map(|bar| bar.median).collect();
    let (middle, _, longest) = median_and_spread(&medians).unwrap_or_default();
    let end = (longest * MAX_OVER_LONGEST).min(middle * MAX_OVER_MIDDLE);
    let scale = Scale::of(unit, greatest.min(end));
    let bottom = TOP + ROW * bars.len() as f64;
    let height = bottom + BOTTOM;
    let mut text = format!(
        "<figure><figcaption>{}</figcaption><div class=\"scroll\">\
         <svg class=\"bars\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title),
        escape(title),
    );
    axis(&mut text, unit, &scale, bottom);
    for (number, bar) in bars.iter().enumerate() {
        let middle = TOP + ROW * (number as f64 + 0.5);
        draw(&mut text, unit, &scale, bar, middle);
    }
    text.push_str("</svg></div></figure>\n");
    text
}

fn x_of(scale: &Scale, value: f64) -> f64 {
    LEFT + scale.place(value) * (WIDTH - LEFT - RIGHT)
}

fn axis(text: &mut String, unit: Unit, scale: &Scale, bottom: f64) {
    let every = (scale.ticks.len() - 1).div_ceil(LABELS).max(1);
    for tick in scale.ticks.iter().step_by(every) {
        let x = x_of(scale, *tick);
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 17.0,
            escape(&tick_label(unit, *tick)),
        );
    }
    let _ = writeln!(text, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}\"/>");
}

fn draw(text: &mut String, unit: Unit, scale: &Scale, bar: &Bar, middle: f64) {
    let end = x_of(scale, bar.median);
    let (least, greatest) = (x_of(scale, bar.least), x_of(scale, bar.greatest));
    let baseline = middle + 4.0;
    let greatest_end = match scale.is_beyond(bar.greatest) {
        true => format!("m-5 {:.1}l5 4l-5 4", -4.0),
        false => format!("M{greatest:.1} {:.1}v8", middle - 4.0),
    };
    let gap = match scale.is_beyond(bar.median) {
        true => format!(
            "<path class=\"gap\" d=\"M{:.1} {:.1}l8 {}\"/>",
            end - 26.0,
            middle + BAR / 2.0 + 2.0,
            -BAR - 4.0
        ),
        false => String::new(),
    };
    let value = match bar.marks.is_empty() {
        true => unit.show(bar.median),
        false => format!("{} {}", unit.show(bar.median), bar.marks),
    };
    let _ = writeln!(
        text,
        "<g class=\"{}\"><title>{}: {}, {} to {}</title>\
         <text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"bar\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>{gap}\
         <path class=\"spread\" d=\"M{least:.1} {middle:.1}H{greatest:.1}{greatest_end}M{least:.1} {:.1}v8\"/>\
         <text x=\"{:.1}\" y=\"{baseline:.1}\">{}</text></g>",
        bar.look.classes(),
        escape(&bar.name),
        escape(&unit.show(bar.median)),
        escape(&unit.show(bar.least)),
        escape(&unit.show(bar.greatest)),
        LEFT - 8.0,
        escape(&shortened(&bar.name)),
        middle - BAR / 2.0,
        end - LEFT,
        middle - 4.0,
        WIDTH - RIGHT + 8.0,
        escape(&value),
    );
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_LETTERS - 1).collect();
    format!("{start}…")
}
