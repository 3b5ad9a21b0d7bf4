//! The parts of a report as tables of texts, which all formats for people share.

use super::document::{Report, ServiceRow};
use crate::cli::show::{age, latency};
use crate::model::format_percent;

/// How many of the slowest services are listed.
const SLOWEST: usize = 10;
/// How many incidents are listed, the latest ones. JSON has all.
const INCIDENTS: usize = 50;

/// A table.
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// The titles of its columns.
    pub header: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// A note below it.
    pub note: Option<String>,
}

/// The title of a report.
pub fn title(report: &Report) -> String {
    format!("Service report, {} to {}", report.period.from, report.period.to)
}

/// The sections of a report that have rows.
pub fn sections(report: &Report) -> Vec<Section> {
    let sections = [
        groups(report),
        services(report),
        budgets(report),
        slowest(report),
        incidents(report),
    ];
    sections
        .into_iter()
        .filter(|section| !section.rows.is_empty())
        .collect()
}

fn groups(report: &Report) -> Section {
    let rows = report.groups.iter().map(|group| {
        vec![
            group.name.clone(),
            group.services.to_string(),
            percent(group.uptime_ratio),
            percent(group.lowest_uptime_ratio),
            percent(group.known_ratio),
            group.incidents.to_string(),
        ]
    });
    Section {
        title: "Groups",
        header: vec!["group", "services", "uptime", "lowest", "known", "outages"],
        rows: rows.collect(),
        note: Some("The uptimes are about the known time. The column known is its share of the range, without maintenance.".to_owned()),
    }
}

fn services(report: &Report) -> Section {
    let rows = report.services.iter().map(|row| {
        let times = &row.times;
        vec![
            label(row),
            percent(row.uptime_ratio),
            row.incidents.to_string(),
            seconds(times.down),
            seconds(times.degraded),
            seconds(times.unknown),
            seconds(times.no_data),
            seconds(times.maintenance),
            row.longest_incident_seconds.map_or_else(dash, seconds),
        ]
    });
    Section {
        title: "Services",
        header: vec![
            "service",
            "uptime",
            "outages",
            "down",
            "degraded",
            "unknown",
            "no data",
            "maintenance",
            "longest",
        ],
        rows: rows.collect(),
        note: Some(
            "Uptime is the share of the time in which the service was up or degraded. Time that is unknown, without data or in maintenance does not count."
                .to_owned(),
        ),
    }
}

fn budgets(report: &Report) -> Section {
    let rows = report.budgets().into_iter().map(|row| {
        vec![
            label(row),
            percent(row.objective_ratio),
            percent(row.uptime_ratio),
            share(row.budget_left_ratio),
        ]
    });
    Section {
        title: "Error budgets",
        header: vec!["service", "objective", "uptime", "budget left"],
        rows: rows.collect(),
        note: None,
    }
}

fn slowest(report: &Report) -> Section {
    let rows = report.slowest(SLOWEST).into_iter().map(|row| {
        vec![
            label(row),
            row.response_average_seconds.map_or_else(dash, latency),
            row.response_maximum_seconds.map_or_else(dash, latency),
        ]
    });
    Section {
        title: "Slowest services",
        header: vec!["service", "average", "maximum"],
        rows: rows.collect(),
        note: None,
    }
}

fn incidents(report: &Report) -> Section {
    let rows = report.incidents.iter().take(INCIDENTS).map(|incident| {
        let service = match incident.instance.as_str() {
            "" => incident.service.clone(),
            instance => format!("{} ({instance})", incident.service),
        };
        let length = std::time::Duration::try_from_secs_f64(incident.seconds).unwrap_or_default();
        vec![
            incident.from.to_string(),
            service,
            age(length) + if incident.to.is_none() { ", not over" } else { "" },
            incident.reason.clone().unwrap_or_else(dash),
        ]
    });
    let rest = report.incidents.len().saturating_sub(INCIDENTS);
    Section {
        title: "Outages",
        header: vec!["start", "service", "length", "reason"],
        rows: rows.collect(),
        note: (rest > 0).then(|| format!("{rest} earlier outages are not listed; --output json has all.")),
    }
}

fn label(row: &ServiceRow) -> String {
    match row.instance.as_str() {
        "" => row.name.clone(),
        instance => format!("{} ({instance})", row.name),
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// A length in seconds; a dash for none.
fn seconds(seconds: f64) -> String {
    let length = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if seconds < 0.5 { dash() } else { age(length) }
}

/// A ratio in percent, rounded down.
fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(dash, |ratio| format_percent(ratio, 3) + " %")
}

/// A share of a budget in percent, which may be negative.
fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(dash, |ratio| format!("{:.1} %", ratio * 100.0))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::cli::report::document::{Period, Times};

    /// Half of the time is not known. An uptime of 100 % alone would hide that.
    #[test]
    fn time_that_is_not_known_is_shown() {
        let period = Period {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::from_second(8 * 3_600).unwrap(),
        };
        let row = |key: &str, times| ServiceRow {
            key: key.to_owned(),
            name: key.to_owned(),
            times,
            ..ServiceRow::default()
        };
        let half = Times {
            up: 4.0 * 3_600.0,
            unknown: 3.0 * 3_600.0,
            no_data: 3_600.0,
            ..Times::default()
        };
        let known = Times {
            up: 4.0 * 3_600.0,
            maintenance: 4.0 * 3_600.0,
            ..Times::default()
        };
        let services = vec![row("half", half), row("known", known)];
        let report = Report::new(String::new(), period, services, Vec::new());
        let [groups, services] = &sections(&report)[..] else {
            panic!("two sections have rows");
        };
        let column = |section: &Section, title: &str| -> Vec<String> {
            let position = section.header.iter().position(|one| *one == title).unwrap();
            section.rows.iter().map(|row| row[position].clone()).collect()
        };
        assert_eq!(column(services, "uptime"), ["100 %", "100 %"]);
        assert_eq!(column(services, "unknown"), ["3h 0m", "-"]);
        assert_eq!(column(services, "no data"), ["1h 0m", "-"]);
        assert_eq!(column(groups, "known"), ["66.666 %"]);
    }

    #[test]
    fn percentages_have_a_sign() {
        assert_eq!(percent(Some(0.999_999)), "99.999 %");
        assert_eq!(percent(None), "-");
        assert_eq!(share(Some(-0.5)), "-50.0 %");
    }
}
