//! The table of results.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::judge::{FaultLength, Outage, Problem, Row, Verdict, median};
use crate::plan::{OutageKind, Victim};

const PROBLEMS: [Problem; 5] = [
    Problem::Missed,
    Problem::False,
    Problem::Early,
    Problem::Repeated,
    Problem::Unresolved,
];

/// Faults and notifications by kind and length of the fault.
pub fn table(verdict: &Verdict) -> String {
    let mut text = format!(
        "{:8} {:>8} {:>6} {:>4} {:>5}",
        "fault", "lasts", "faults", "due", "sent"
    );
    for problem in PROBLEMS {
        write!(text, " {:>8}", format!("{problem:?}").to_lowercase()).unwrap();
    }
    writeln!(text, " {:>8} {:>8}", "median", "worst").unwrap();
    let mut sum = Row::default();
    for ((kind, length_class), row) in &verdict.rows {
        let lasts = match length_class {
            FaultLength::Short => "2-18 s",
            FaultLength::Long => "90-160 s",
        };
        line(&mut text, &format!("{kind:?}").to_lowercase(), lasts, row);
        sum.faults += row.faults;
        sum.due += row.due;
        sum.notified += row.notified;
        for (problem, count) in &row.problems {
            *sum.problems.entry(*problem).or_default() += count;
        }
        sum.delays.extend(&row.delays);
    }
    let stray = verdict.findings.iter().filter(|found| found.fault.is_none());
    let stray = stray.count();
    if stray > 0 {
        let row = Row {
            problems: BTreeMap::from([(Problem::False, stray)]),
            ..Row::default()
        };
        line(&mut text, "none", "", &row);
        *sum.problems.entry(Problem::False).or_default() += stray;
    }
    line(&mut text, "all", "", &sum);
    for (what, delays) in [
        ("UpkeepServiceDown", &verdict.pages),
        ("of these, without an outage", &verdict.undisturbed),
    ] {
        let (median, worst) = ends(delays);
        writeln!(
            text,
            "{what}: {} pages, median {median} s, worst {worst} s",
            delays.len()
        )
        .unwrap();
    }
    text
}

fn line(text: &mut String, kind: &str, lasts: &str, row: &Row) {
    write!(
        text,
        "{kind:8} {lasts:>8} {:>6} {:>4} {:>5}",
        row.faults, row.due, row.notified
    )
    .unwrap();
    for problem in PROBLEMS {
        let count = row.problems.get(&problem).copied().unwrap_or_default();
        write!(text, " {count:>8}").unwrap();
    }
    let (median, worst) = ends(&row.delays);
    writeln!(text, " {median:>8} {worst:>8}").unwrap();
}

/// Median and maximum, in seconds.
fn ends(delays: &[f64]) -> (String, String) {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    (
        shown(median(delays)),
        shown(delays.iter().copied().max_by(f64::total_cmp)),
    )
}

/// Number of outages of the exporter and Prometheus.
pub fn outages(outages: &[Outage]) -> String {
    let count = |victim, kind| {
        let of = |outage: &&Outage| outage.victim == victim && outage.kind == kind;
        outages.iter().filter(of).count()
    };
    let of = |name, victim| {
        let [killed, terminated, frozen] =
            [OutageKind::Killed, OutageKind::Terminated, OutageKind::Frozen].map(|kind| count(victim, kind));
        format!("{name} killed {killed}, terminated {terminated}, frozen {frozen} times")
    };
    format!(
        "{}; {}\n",
        of("exporter", Victim::Exporter),
        of("Prometheus", Victim::Prometheus)
    )
}
