//! The families of dns checks and of their probes. Those of probes have blackbox_exporter's names.

use std::borrow::Cow;
use std::time::Duration;

use super::section::Section;
use super::summary::Summary;
use crate::model::{Family, Phase, Report, Sample};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

static RESPONSE_CODE: Family = Family::gauge(
    "upkeep_dns_response_code",
    &[],
    "Response code of the name server: 0 is NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.",
);
static RECORDS: Family = Family::gauge(
    "upkeep_dns_records",
    &["section"],
    "Records in this section of the response.",
);
static SOA_SERIAL: Family = Family::gauge(
    "upkeep_dns_soa_serial",
    &[],
    "Serial number of the zone. Only for queries of type SOA.",
);

/// The families of dns checks.
pub const FAMILIES: &[&Family] = &[
    &RESPONSE_CODE,
    &RECORDS,
    &SOA_SERIAL,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];

static PROBE_DURATION: Family = Family::probe(
    "probe_dns_duration_seconds",
    &["phase"],
    "Duration of each phase of the query in seconds.",
);
static PROBE_ANSWER_RRS: Family =
    Family::probe("probe_dns_answer_rrs", &[], "Records in the answer section.");
static PROBE_AUTHORITY_RRS: Family = Family::probe(
    "probe_dns_authority_rrs",
    &[],
    "Records in the authority section.",
);
static PROBE_ADDITIONAL_RRS: Family = Family::probe(
    "probe_dns_additional_rrs",
    &[],
    "Records in the additional section.",
);
static PROBE_QUERY_SUCCEEDED: Family = Family::probe(
    "probe_dns_query_succeeded",
    &[],
    "1 if the name server responded, with any response code; otherwise 0.",
);
static PROBE_SERIAL: Family = Family::probe("probe_dns_serial", &[], "Serial number of the zone.");

/// The families of a probe of a name server, in addition to those of every probe.
pub const PROBE_FAMILIES: &[&Family] = &[
    &PROBE_DURATION,
    &PROBE_ANSWER_RRS,
    &PROBE_AUTHORITY_RRS,
    &PROBE_ADDITIONAL_RRS,
    &PROBE_QUERY_SUCCEEDED,
    &PROBE_SERIAL,
];

/// Adds the samples of a response.
pub fn push_samples(summary: &Summary, samples: &mut Vec<Sample>) {
    let mut push = |family, labels, value| {
        samples.push(Sample {
            family,
            labels,
            value,
        });
    };
    push(&RESPONSE_CODE, Vec::new(), f64::from(summary.rcode));
    for (section, count) in Section::ALL.iter().zip(summary.records) {
        push(&RECORDS, vec![section.as_str().into()], number(count));
    }
    if let Some(serial) = summary.serial {
        push(&SOA_SERIAL, Vec::new(), f64::from(serial));
    }
}

/// Adds the samples of a probe. As in blackbox_exporter, they are also present without a response.
pub fn push_probe_samples(report: &mut Report, summary: Option<&Summary>) {
    let spent =
        |phases: &[Phase]| -> Duration { phases.iter().map(|phase| report.phases.spent(*phase)).sum() };
    // In blackbox_exporter, connecting includes the TLS handshake.
    let phases = [
        ("resolve", spent(&[Phase::Resolve])),
        ("connect", spent(&[Phase::Connect, Phase::Tls])),
        ("request", spent(&[Phase::Processing])),
    ];
    for (phase, took) in phases {
        report.push_probe_sample(&PROBE_DURATION, vec![Cow::Borrowed(phase)], took.as_secs_f64());
    }
    let [answer, authority, additional] = summary.map_or([0; 3], |summary| summary.records);
    report.push_probe_sample(&PROBE_ANSWER_RRS, Vec::new(), number(answer));
    report.push_probe_sample(&PROBE_AUTHORITY_RRS, Vec::new(), number(authority));
    report.push_probe_sample(&PROBE_ADDITIONAL_RRS, Vec::new(), number(additional));
    let has_response = f64::from(u8::from(summary.is_some()));
    report.push_probe_sample(&PROBE_QUERY_SUCCEEDED, Vec::new(), has_response);
    if let Some(summary) = summary.filter(|summary| summary.is_soa_query) {
        // 0 without a record, as in blackbox_exporter.
        let serial = summary.serial.unwrap_or_default();
        report.push_probe_sample(&PROBE_SERIAL, Vec::new(), f64::from(serial));
    }
}

/// A message has at most 65535 records in a section.
fn number(count: usize) -> f64 {
    f64::from(u16::try_from(count).unwrap_or(u16::MAX))
}
