//! Walks the metric table and writes what one scrape shows.

use super::OwnProcess;
use super::format::Format;
use super::labels::SharedLabels;
use super::row::Fill;
use super::samples::SamplesByFamily;
use super::table;
use super::views::{Input, ScrapeData};
use super::writer::{Series, Writer};
use crate::model::Scope;
use crate::store::{CheckView, ServiceView};

/// The least length of a piece, in bytes. It fits the processor's cache, so whoever reads the piece next finds it there.
const PIECE_BYTES: usize = 64 * 1024;

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

    /// Returns the whole exposition. `capacity` is an estimate of its length in bytes.
    pub fn to_bytes(&self, format: Format, capacity: usize) -> Vec<u8> {
        let mut writer = Writer::new(format, capacity);
        let mut whole = Pieces {
            least: usize::MAX,
            sink: &mut |_| {},
        };
        self.write(&mut writer, format, &mut whole);
        writer.finish()
    }

    /// Passes the exposition on to `sink` in pieces. Only one piece is in memory at a time; in Protocol Buffers, one family.
    pub fn to_pieces(&self, format: Format, sink: &mut dyn FnMut(&[u8])) {
        let mut writer = Writer::new(format, 2 * PIECE_BYTES);
        let mut pieces = Pieces {
            least: PIECE_BYTES,
            sink,
        };
        self.write(&mut writer, format, &mut pieces);
        sink(&writer.finish());
    }

    fn write(&self, writer: &mut Writer, format: Format, pieces: &mut Pieces<'_>) {
        let services = self.data.snapshot.services.iter();
        let labels: Vec<ServiceLabels> = services
            .map(|service| ServiceLabels::new(service, format))
            .collect();
        let services: Vec<_> = self.data.snapshot.services.iter().zip(&labels).collect();
        let checks: Vec<_> = services
            .iter()
            .flat_map(|(service, labels)| service.checks.iter().zip(&labels.checks))
            .collect();
        let samples = SamplesByFamily::new(&checks);
        for (position, entry) in table::entries().iter().enumerate() {
            let mut series = writer.family(entry.family);
            match entry.fill {
                Fill::Exporter(fill) => {
                    series.start = Some(self.data.snapshot.exporter.started);
                    fill(&self.data, &mut series);
                    pieces.take(&mut series);
                }
                Fill::Service(fill) => {
                    for (service, labels) in &services {
                        series.start_subject(&labels.service, Some(service.counts_since));
                        fill(service, &mut series);
                        pieces.take(&mut series);
                    }
                }
                Fill::Heal(fill) => {
                    for (service, labels) in &services {
                        series.start_subject(&labels.service, None);
                        service.heal.iter().for_each(|heal| fill(heal, &mut series));
                        pieces.take(&mut series);
                    }
                }
                Fill::Check(fill) => {
                    for (check, labels) in &checks {
                        series.start_subject(labels, Some(check.counts_since));
                        fill(check, &mut series);
                        pieces.take(&mut series);
                    }
                }
                Fill::Samples => {
                    for (sample, labels) in samples.of(position) {
                        // Counters of a target started with the target, at an unknown time.
                        series.start_subject(labels, None);
                        series.push_sample(sample);
                        pieces.take(&mut series);
                    }
                }
            }
            series.end(pieces.least, pieces.sink);
        }
    }
}

/// Passes an exposition on in pieces.
struct Pieces<'s> {
    least: usize,
    sink: &'s mut dyn FnMut(&[u8]),
}

impl Pieces<'_> {
    /// Takes what is written, if it is enough for a piece.
    fn take(&mut self, series: &mut Series<'_>) {
        series.drain_from(self.least, self.sink);
    }
}
