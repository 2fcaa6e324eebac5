//! Line charts: latency over percentile, latency over rate.
//!
//! Owns the drawing; the page gives the values. Lines are told apart by colour, by dashes and by the
//! legend, which is text above the chart and wraps where the page is narrow. Called by `single`,
//! `sweep` and `compare`.

use super::html::escape;
use super::scale::{Scale, tick_label};
use crate::report::Unit;
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
/// Around the plot: for the labels of the axes.
const LEFT: f64 = 78.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 52.0;

/// Percentiles that are written at the axis, with what is left above them.
const PERCENTILES: [(f64, &str); 8] = [
    (1.0, "0 %"),
    (0.5, "50 %"),
    (0.1, "90 %"),
    (0.01, "99 %"),
    (0.001, "99.9 %"),
    (0.0001, "99.99 %"),
    (0.00001, "99.999 %"),
    (0.000001, "99.9999 %"),
];

/// Latencies below this percentile may be below the chart.
const LEAST_PERCENTILE: f64 = 5.0;

/// How a line or a bar looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The subject of the page; the number tells several apart.
    Ours(usize),
    /// One among others, by number.
    Plain(usize),
    /// A bound, by number: dashed and grey.
    Limit(usize),
}

impl Look {
    /// Its classes in the style sheet.
    pub(super) fn classes(self) -> String {
        match self {
            Self::Ours(number) => format!("ours d{}", number % 3),
            Self::Plain(number) => format!("c{} d{}", number % 6, number / 6 % 3),
            Self::Limit(number) => format!("limit d{}", number % 2 + 1),
        }
    }
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) points: Vec<(f64, f64)>,
    /// Draw a dot at each point: there are few.
    pub(super) has_dots: bool,
}

/// An axis: what it shows, where values are, and what is written.
struct Axis {
    title: &'static str,
    labels: Vec<(f64, String)>,
}

/// Nanoseconds over percentiles, which are placed by what is left above them. `samples` is how many the
/// largest line has. Nothing when no line has points.
pub(super) fn percentiles(title: &str, lines: &[Line], samples: f64) -> String {
    let known_share = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(percentile, _)| share_above(*percentile))
        .filter(|share| *share > 0.0)
        .fold(0.1, f64::min);
    // The maximum is the last of all samples.
    let least_share = known_share.min(1.0 / samples.max(10.0));
    let end = -least_share.log10();
    let place = |percentile: f64| {
        let share = share_above(percentile).max(least_share);
        -share.log10() / end
    };
    let labels = PERCENTILES
        .iter()
        .filter(|(share, _)| -share.log10() <= end);
    let axis = Axis {
        title: "percentile of requests",
        labels: labels
            .map(|(share, label)| (-share.log10() / end, (*label).to_owned()))
            .collect(),
    };
    // The quickest few would stretch the chart and tell nothing.
    let shown = |(percentile, _): &(f64, f64)| *percentile >= LEAST_PERCENTILE;
    chart(title, lines, &axis, place, shown)
}

fn share_above(percentile: f64) -> f64 {
    // The subtraction's error would show beyond six nines.
    ((100.0 - percentile) / 100.0 * 1e9).round() / 1e9
}

/// Nanoseconds over requests per second. Nothing when no line has points.
pub(super) fn rates(title: &str, lines: &[Line]) -> String {
    let points = lines.iter().flat_map(|line| &line.points);
    let greatest = points.map(|(rate, _)| *rate).fold(0.0, f64::max);
    let scale = Scale::linear(greatest);
    let axis = Axis {
        title: "requests per second",
        labels: scale
            .ticks
            .iter()
            .map(|tick| (scale.place(*tick), tick_label(Unit::Rate, *tick)))
            .collect(),
    };
    chart(title, lines, &axis, |rate| scale.place(rate), |_| true)
}

/// `is_shown` are the points that the height must have room for; a line runs along the edge for others.
fn chart(
    title: &str,
    lines: &[Line],
    axis: &Axis,
    place: impl Fn(f64) -> f64,
    is_shown: impl Fn(&(f64, f64)) -> bool,
) -> String {
    let points = lines.iter().flat_map(|line| &line.points);
    let values = points.filter(|point| is_shown(point)).map(|point| point.1);
    let values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    let Some(least) = values.iter().copied().min_by(f64::total_cmp) else {
        return String::new();
    };
    let greatest = values.iter().copied().fold(least, f64::max);
    let scale = Scale::log(least, greatest);
    let mut text = format!(
        "<figure><figcaption>{}</figcaption>\n{}<div class=\"scroll\">\
         <svg class=\"lines\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title),
        legend(lines),
        escape(title),
    );
    axes(&mut text, axis, &scale);
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    for line in lines {
        let points = line.points.iter().filter(|(_, value)| *value > 0.0);
        let points = points.map(|(x, y)| {
            let (x, y) = (place(*x), scale.place(*y));
            (LEFT + x * width, TOP + (1.0 - y) * height)
        });
        draw(&mut text, line, &points.collect::<Vec<_>>());
    }
    text.push_str("</svg></div></figure>\n");
    text
}

fn axes(text: &mut String, axis: &Axis, scale: &Scale) {
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in &scale.ticks {
        let y = TOP + (1.0 - scale.place(*tick)) * height;
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escape(&tick_label(Unit::Ns, *tick)),
        );
    }
    for (place, label) in &axis.labels {
        let x = LEFT + place * width;
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            escape(label),
        );
    }
    let _ = writeln!(
        text,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
         <text class=\"title\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"title\" transform=\"translate(16 {:.1}) rotate(-90)\" \
         text-anchor=\"middle\">latency</text>",
        LEFT + width / 2.0,
        HEIGHT - 10.0,
        escape(axis.title),
        TOP + height / 2.0,
    );
}

fn draw(text: &mut String, line: &Line, points: &[(f64, f64)]) {
    let classes = line.look.classes();
    let _ = write!(
        text,
        "<g class=\"{classes}\"><title>{}</title>",
        escape(&line.name)
    );
    if points.len() > 1 {
        text.push_str("<path class=\"line\" d=\"");
        for (number, (x, y)) in points.iter().enumerate() {
            let command = if number == 0 { 'M' } else { 'L' };
            let _ = write!(text, "{command}{x:.1} {y:.1}");
        }
        text.push_str("\"/>");
    }
    if line.has_dots || points.len() == 1 {
        for (x, y) in points {
            let _ = write!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
    }
    text.push_str("</g>\n");
}

/// The names of the lines with a piece of each.
fn legend(lines: &[Line]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    let mut text = String::from("<ul class=\"legend\">");
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        let _ = write!(
            text,
            "<li><svg class=\"swatch\" viewBox=\"0 0 30 10\" aria-hidden=\"true\">\
             <g class=\"{}\"><path class=\"line\" d=\"M0 5H30\"/></g></svg>{}</li>",
            line.look.classes(),
            escape(&line.name)
        );
    }
    text.push_str("</ul>\n");
    text
}
