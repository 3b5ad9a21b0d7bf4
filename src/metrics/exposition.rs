//! Walks the metric table and writes what one scrape shows.

use super::OwnProcess;
use super::format::Format;
use super::labels::SharedLabels;
use super::row::Fill;
use super::table::{self, Entry};
use super::views::{Input, ScrapeData};
use super::writer::{Series, Writer};
use crate::check::families;
use crate::model::{CheckKind, Family, Scope};
use crate::store::{CheckView, LastRun, ServiceView};

/// What one scrape shows.
#[derive(Debug)]
pub struct Exposition {
    data: ScrapeData,
}

#[derive(Debug)]
struct ServiceLabels {
    service: SharedLabels,
    checks: Vec<SharedLabels>,
}

impl ServiceLabels {
    fn new(view: &ServiceView, format: Format) -> Self {
        let service = &*view.service;
        let (key, group) = (service.key.as_str(), service.group.as_str());
        let check = |check: &CheckView| {
            SharedLabels::new(
                format,
                Scope::Check.labels(),
                &[key, group, check.settings.name.as_str()],
            )
        };
        Self {
            service: SharedLabels::new(
                format,
                Scope::Service.labels(),
                &[key, group, service.tier.as_str()],
            ),
            checks: view.checks.iter().map(check).collect(),
        }
    }
}

impl Exposition {
    /// Prepares an exposition, which can be written in every format.
    pub fn new(input: impl Into<Input>, process: Option<OwnProcess>) -> Self {
        let Input { snapshot, views } = input.into();
        Self {
            data: ScrapeData {
                snapshot,
                views,
                process,
            },
        }
    }

    /// Writes the exposition. `capacity` is an estimate of its length in bytes.
    pub fn to_bytes(&self, format: Format, capacity: usize) -> Vec<u8> {
        let services = self.data.snapshot.services.iter();
        let labels: Vec<ServiceLabels> = services
            .map(|service| ServiceLabels::new(service, format))
            .collect();
        let mut writer = Writer::new(format, capacity);
        for entry in table::entries() {
            let mut series = writer.family(entry.family);
            self.push_family(entry, &labels, &mut series);
        }
        writer.finish()
    }

    fn push_family<'a>(&self, entry: &Entry, labels: &'a [ServiceLabels], series: &mut Series<'a>) {
        match entry.fill {
            Fill::Exporter(fill) => {
                series.start = Some(self.data.snapshot.exporter.started);
                fill(&self.data, series);
            }
            Fill::Service(fill) => {
                for (service, labels) in self.data.snapshot.services.iter().zip(labels) {
                    series.shared_labels = Some(&labels.service);
                    series.start = Some(service.counts_since);
                    fill(service, series);
                }
            }
            Fill::Heal(fill) => {
                for (service, labels) in self.data.snapshot.services.iter().zip(labels) {
                    if let Some(heal) = &service.heal {
                        series.shared_labels = Some(&labels.service);
                        fill(heal, series);
                    }
                }
            }
            Fill::Check(fill) => self.push_checks(labels, series, |check, series| {
                series.start = Some(check.counts_since);
                fill(check, series);
            }),
            Fill::Samples => {
                let has_family = CheckKind::ALL.map(|kind| families(kind).contains(&entry.family));
                // Counters of a target started with the target, at an unknown time.
                self.push_checks(labels, series, |check, series| {
                    if has_family[check.settings.kind.kind() as usize] {
                        push_samples(entry.family, check.last_run.as_ref(), series);
                    }
                });
            }
        }
    }

    fn push_checks<'a>(
        &self,
        labels: &'a [ServiceLabels],
        series: &mut Series<'a>,
        fill: impl Fn(&CheckView, &mut Series<'a>),
    ) {
        for (service, labels) in self.data.snapshot.services.iter().zip(labels) {
            for (check, labels) in service.checks.iter().zip(&labels.checks) {
                series.shared_labels = Some(labels);
                fill(check, series);
            }
        }
    }
}

/// Writes the samples of `family` that the last run of a check measured.
fn push_samples(family: &Family, run: Option<&LastRun>, series: &mut Series<'_>) {
    for sample in run.into_iter().flat_map(|run| &run.outcome.samples) {
        if std::ptr::eq(sample.family, family) || sample.family.name == family.name {
            series.push_sample(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Conclusion, MetricType, Outcome, Sample, Unit};

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

    fn run(samples: Vec<Sample>) -> LastRun {
        LastRun {
            ended: 1.0,
            outcome: Arc::new(Outcome {
                conclusion: Conclusion::Success,
                duration: Duration::ZERO,
                response_time: None,
                samples,
                ..Outcome::default()
            }),
        }
    }

    fn written(run: Option<&LastRun>) -> String {
        let labels = SharedLabels::new(Format::OpenMetrics, Scope::Check.labels(), &["s", "g", "c"]);
        let mut writer = Writer::new(Format::OpenMetrics, 0);
        let mut series = writer.family(&THINGS);
        series.shared_labels = Some(&labels);
        push_samples(&THINGS, run, &mut series);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn samples_of_a_run_are_in_their_family() {
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
        assert_eq!(written(Some(&run(measured))), expected);
    }

    #[test]
    fn a_family_without_series_is_omitted() {
        assert_eq!(written(None), "# EOF\n");
        assert_eq!(written(Some(&run(Vec::new()))), "# EOF\n");
    }
}
