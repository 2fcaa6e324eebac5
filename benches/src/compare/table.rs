//! The tables of `compare` for a terminal.
//!
//! One block for each row and metric, an entry in each line: ours, peers, and apart from them limits.
//! Called by the module.

use super::catalogue::Role;
use super::metrics::Metric;
use super::tally::{Cell, Ratios, Row, ToBest};
use super::{Settings, Summary};
use crate::report::Report;
use std::fmt::Write;

/// Columns of the name; a longer one shifts its line.
const NAME: usize = 22;

pub(super) fn text(report: &Report<Settings, Summary>) -> String {
    let mut text = heading(&report.settings);
    for row in &report.result.rows {
        let _ = writeln!(text, "\n== {}", row.name);
        for metric in &row.metrics {
            block(&mut text, row, metric);
        }
        for cell in &row.cells {
            flags(&mut text, cell);
        }
    }
    notes(&mut text, &report.result);
    text
}

fn heading(settings: &Settings) -> String {
    let pinned = match (&*settings.cpus.server, &*settings.cpus.load) {
        ([], _) => "not pinned".to_owned(),
        (server, []) => format!("on CPUs {server:?}"),
        (server, load) => format!("server on CPUs {server:?}, load on {load:?}"),
    };
    let mut text = format!(
        "compare {}: workers {}, {} samples of each, interleaved, each in processes of its own, {pinned}\n\
         `median (least to greatest)`; `llam/this` is our median divided by that of the line\n",
        settings.kind.name(),
        settings.workers,
        settings.runs,
    );
    if settings.is_quick {
        text.push_str("QUICK: one short sample each shows that it works, and is no result\n");
    }
    text
}

fn block(text: &mut String, row: &Row, metric: &Metric) {
    let direction = match metric.is_more_better {
        true => "more is better",
        false => "less is better",
    };
    let ratios = row.ratios.get(metric.key);
    let _ = writeln!(text, "\n{}, {direction}", metric.name);
    let _ = writeln!(
        text,
        "  {:NAME$}{:>12}{:>12}{:>12}{:>11}",
        "", "median", "least", "greatest", "llam/this"
    );
    for cell in &row.cells {
        let Some(figure) = cell.figures.get(metric.key) else {
            continue;
        };
        let name = match cell.role {
            Role::Limit => format!("{} (limit)", cell.entry),
            Role::Ours | Role::Peer => cell.entry.clone(),
        };
        let ratio = ratios.and_then(|ratios| ratios.to_each.get(&cell.entry));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let _ = writeln!(
            text,
            "  {name:NAME$}{:>12}{:>12}{:>12}{ratio:>11} {}",
            metric.unit.show(figure.median),
            metric.unit.show(figure.least),
            metric.unit.show(figure.greatest),
            marks(cell)
        );
    }
    if let Some(ratios) = ratios {
        text.push_str(&best(ratios));
    }
}

/// One letter for each kind of flag; [`flags`] explains them.
fn marks(cell: &Cell) -> String {
    let marks = [
        (!cell.load_limits.is_empty(), 'L'),
        (!cell.disturbed.is_empty(), 'D'),
        (cell.overloaded > 0, 'O'),
    ];
    let set = marks.iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, mark)| *mark).collect()
}

fn best(ratios: &Ratios) -> String {
    let part = |name: &str, best: &Option<ToBest>| {
        let best = best.as_ref()?;
        Some(format!(
            "{:.2} of the best {name}, {}",
            best.ratio, best.entry
        ))
    };
    let parts: Vec<_> = [
        part("peer", &ratios.to_best_peer),
        part("limit", &ratios.to_best_limit),
    ]
    .into_iter()
    .flatten()
    .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("  llam: {}\n", parts.join("; ")),
    }
}

/// What is wrong with the samples of a cell, in words.
fn flags(text: &mut String, cell: &Cell) {
    for (mark, meaning, reasons) in [
        ('L', "the load side may be the limit", &cell.load_limits),
        ('D', "something else ran", &cell.disturbed),
    ] {
        if let Some(first) = reasons.first() {
            let (entry, count) = (&cell.entry, reasons.len());
            let all = cell.samples;
            let _ = writeln!(
                text,
                "  {mark} {entry}: {meaning}, {count} of {all} samples: {first}"
            );
        }
    }
    if cell.overloaded > 0 {
        let (entry, count, all) = (&cell.entry, cell.overloaded, cell.samples);
        let _ = writeln!(
            text,
            "  O {entry}: could not keep the rate in {count} of {all} samples; requests that were \
             never sent count with the time they had waited"
        );
    }
}

fn notes(text: &mut String, summary: &Summary) {
    text.push('\n');
    for entry in &summary.entries {
        let version = &entry.version;
        let _ = writeln!(
            text,
            "{}: {version}: {}",
            entry.name,
            entry.command.join(" ")
        );
        if let Some(note) = &entry.note {
            let _ = writeln!(text, "  NOTE: {note}");
        }
    }
    for skipped in &summary.skipped {
        let _ = writeln!(text, "{}: not built: {}", skipped.name, skipped.why);
    }
    if summary.replaced.is_empty() {
        text.push_str("no sample was taken again\n");
    } else {
        let (count, first) = (summary.replaced.len(), &summary.replaced[0]);
        let _ = writeln!(
            text,
            "{count} disturbed samples were taken again; the first: {}, {}",
            first.entry, first.why
        );
    }
    for failed in &summary.failed {
        let _ = writeln!(
            text,
            "FAILED: {}, {}: {}",
            failed.entry, failed.row, failed.why
        );
    }
}
