//! A snapshot in OpenMetrics 1.0: one collector that walks the table and the snapshot.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::OwnProcess;
use super::series::{Leading, Series};
use super::table::{self, Entry, Fill};
use crate::check::families;
use crate::model::{CheckKind, Family};
use crate::store::{CheckView, LastRun, Snapshot};

/// What one scrape exposes.
#[derive(Debug)]
pub(super) struct Exposed {
    /// The results.
    pub snapshot: Snapshot,
    /// The exporter's own process; `None` where /proc can't be read.
    pub process: Option<OwnProcess>,
}

/// Renders everything in OpenMetrics 1.0. `capacity` is a guess of the length, in bytes.
///
/// # Errors
/// Never in practice: writing to a string does not fail.
pub fn to_openmetrics(
    snapshot: Snapshot,
    process: Option<OwnProcess>,
    capacity: usize,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SnapshotCollector::new(Exposed { snapshot, process })));
    let mut text = String::with_capacity(capacity);
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct SnapshotCollector {
    exposed: Exposed,
    /// The leading labels of each service, and of each of its checks.
    leading: Vec<(Leading, Vec<Leading>)>,
}

impl SnapshotCollector {
    fn new(exposed: Exposed) -> Self {
        let services = exposed.snapshot.services.iter();
        let leading = services
            .map(|view| {
                let service = &view.service;
                let both = [("service", service.key.as_str()), ("group", &service.group)];
                let checks = view.checks.iter();
                let checks = checks.map(|check| Leading::new(both, ("check", check.settings.name.as_str())));
                (
                    Leading::new(both, ("tier", service.tier.as_str())),
                    checks.collect(),
                )
            })
            .collect();
        Self { exposed, leading }
    }

    fn encode_family<'a>(&'a self, entry: Entry, series: &mut Series<'a, '_>) -> fmt::Result {
        match entry.fill {
            Fill::Exporter(fill) => fill(&self.exposed, series),
            Fill::Service(fill) => {
                let services = self.exposed.snapshot.services.iter();
                services.zip(&self.leading).try_for_each(|(view, (leading, _))| {
                    series.leading = Some(leading);
                    fill(view, series)
                })
            }
            Fill::Check(fill) => self.each_check(series, fill),
            Fill::Samples => {
                let kinds = CheckKind::ALL.map(|kind| (kind, families(kind).contains(&entry.family)));
                self.each_check(series, |check, series| {
                    let kind = check.settings.kind.kind();
                    match kinds.contains(&(kind, true)) {
                        true => samples(entry.family, check.last_run.as_ref(), series),
                        false => Ok(()),
                    }
                })
            }
        }
    }

    fn each_check<'a, 'b>(
        &'a self,
        series: &mut Series<'a, 'b>,
        fill: impl Fn(&CheckView, &mut Series<'a, 'b>) -> fmt::Result,
    ) -> fmt::Result {
        for (service, (_, leading)) in self.exposed.snapshot.services.iter().zip(&self.leading) {
            for (check, leading) in service.checks.iter().zip(leading) {
                series.leading = Some(leading);
                fill(check, series)?;
            }
        }
        Ok(())
    }
}

/// Pushes what a check's last run measured of `family`.
fn samples(family: &Family, run: Option<&LastRun>, series: &mut Series<'_, '_>) -> fmt::Result {
    let samples = run.into_iter().flat_map(|run| &run.outcome.samples);
    samples
        .filter(|sample| std::ptr::eq(sample.family, family) || sample.family.name == family.name)
        .try_for_each(|sample| series.push_with(&sample.labels, sample.value))
}

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        table::entries().iter().try_for_each(|entry| {
            let mut series = Series::new(entry.family, &mut encoder);
            self.encode_family(*entry, &mut series)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Conclusion, MetricType, Outcome, Sample, Scope, Unit};

    static THINGS: Family = Family {
        name: "upkeep_things_bytes_total",
        metric_type: MetricType::Counter,
        unit: Unit::Bytes,
        scope: Scope::Check,
        labels: &["side"],
        help: "Things of a kind.",
    };
    static OTHER: Family = Family {
        name: "upkeep_other",
        ..THINGS
    };

    fn run(samples: Vec<Sample>) -> Option<LastRun> {
        Some(LastRun {
            ended: 1.0,
            outcome: Arc::new(Outcome {
                conclusion: Conclusion::Success,
                duration: Duration::ZERO,
                response_time: None,
                samples,
                ..Outcome::default()
            }),
        })
    }

    /// A collector of the samples of one family, without the rest of the table.
    #[derive(Debug)]
    struct Samples(Leading, Vec<Option<LastRun>>);

    impl Collector for Samples {
        fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
            let mut series = Series::new(&THINGS, &mut encoder);
            series.leading = Some(&self.0);
            self.1
                .iter()
                .try_for_each(|run| samples(&THINGS, run.as_ref(), &mut series))
        }
    }

    fn rendered(runs: Vec<Option<LastRun>>) -> String {
        let leading = Leading::new([("service", "s"), ("group", "g")], ("check", "c"));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Samples(leading, runs)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn what_a_run_measured_is_shown_in_its_family() {
        let sample = |family, side: &'static str, value| Sample {
            family,
            labels: vec![side.into()],
            value,
        };
        let measured = vec![
            sample(&THINGS, "left\"", 1.5),
            sample(&OTHER, "", 9.0),
            sample(&THINGS, "right", 2.0),
        ];
        let expected = r#"# HELP upkeep_things_bytes Things of a kind.
# TYPE upkeep_things_bytes counter
# UNIT upkeep_things_bytes bytes
upkeep_things_bytes_total{service="s",group="g",check="c",side="left\""} 1.5
upkeep_things_bytes_total{service="s",group="g",check="c",side="right"} 2
# EOF
"#;
        assert_eq!(rendered(vec![None, run(measured)]), expected);
    }

    #[test]
    fn a_family_without_series_leaves_no_trace() {
        assert_eq!(rendered(vec![None, run(Vec::new())]), "# EOF\n");
    }
}
