//! The table of a campaign.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::judge::{Class, Outage, Row, Verdict, Wrong, median};
use crate::plan::{Blow, Victim};

const WRONGS: [Wrong; 5] = [
    Wrong::Missed,
    Wrong::False,
    Wrong::Early,
    Wrong::Repeated,
    Wrong::Unended,
];

/// The faults by kind and length, and what was told of them.
pub fn table(verdict: &Verdict) -> String {
    let mut text = format!(
        "{:8} {:>8} {:>6} {:>4} {:>5}",
        "fault", "lasts", "faults", "due", "told"
    );
    for wrong in WRONGS {
        write!(text, " {:>8}", format!("{wrong:?}").to_lowercase()).unwrap();
    }
    writeln!(text, " {:>8} {:>8}", "median", "worst").unwrap();
    let mut sum = Row::default();
    for ((kind, class), row) in &verdict.rows {
        let lasts = match class {
            Class::Short => "2-18 s",
            Class::Long => "90-160 s",
        };
        line(&mut text, &format!("{kind:?}").to_lowercase(), lasts, row);
        sum.faults += row.faults;
        sum.due += row.due;
        sum.told += row.told;
        for (wrong, count) in &row.wrongs {
            *sum.wrongs.entry(*wrong).or_default() += count;
        }
        sum.delays.extend(&row.delays);
    }
    let stray = verdict.findings.iter().filter(|found| found.fault.is_none());
    let stray = stray.count();
    if stray > 0 {
        let row = Row {
            wrongs: BTreeMap::from([(Wrong::False, stray)]),
            ..Row::default()
        };
        line(&mut text, "none", "", &row);
        *sum.wrongs.entry(Wrong::False).or_default() += stray;
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
        row.faults, row.due, row.told
    )
    .unwrap();
    for wrong in WRONGS {
        let count = row.wrongs.get(&wrong).copied().unwrap_or_default();
        write!(text, " {count:>8}").unwrap();
    }
    let (median, worst) = ends(&row.delays);
    writeln!(text, " {median:>8} {worst:>8}").unwrap();
}

/// Median and greatest, in seconds.
fn ends(delays: &[f64]) -> (String, String) {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    (
        shown(median(delays)),
        shown(delays.iter().copied().max_by(f64::total_cmp)),
    )
}

/// What befell exporter and Prometheus.
pub fn outages(outages: &[Outage]) -> String {
    let count = |victim, blow| {
        let of = |outage: &&Outage| outage.victim == victim && outage.blow == blow;
        outages.iter().filter(of).count()
    };
    let of = |name, victim| {
        let [killed, terminated, frozen] =
            [Blow::Killed, Blow::Terminated, Blow::Frozen].map(|blow| count(victim, blow));
        format!("{name} killed {killed}, terminated {terminated}, frozen {frozen} times")
    };
    format!(
        "{}; {}\n",
        of("exporter", Victim::Exporter),
        of("Prometheus", Victim::Prometheus)
    )
}
