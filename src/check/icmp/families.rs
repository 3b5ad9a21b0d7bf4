//! The families of icmp checks and of their probes. Those of probes have blackbox_exporter's names.

use std::borrow::Cow;

use crate::model::{Family, Phase, Report, Sample};

static REPLY_HOP_LIMIT: Family = Family::gauge(
    "upkeep_icmp_reply_hop_limit",
    &[],
    "Hop limit (TTL for IPv4) of the echo reply. It changes when the return path changes.",
);

/// The families of icmp checks.
pub const FAMILIES: &[&Family] = &[&REPLY_HOP_LIMIT];

static PROBE_DURATION: Family = Family::probe(
    "probe_icmp_duration_seconds",
    &["phase"],
    "Duration of each phase of the ping in seconds.",
);
static PROBE_REPLY_HOP_LIMIT: Family = Family::probe(
    "probe_icmp_reply_hop_limit",
    &[],
    "Hop limit (TTL for IPv4) of the reply.",
);

/// The families of a probe by ping, in addition to those of every probe.
pub const PROBE_FAMILIES: &[&Family] = &[&PROBE_DURATION, &PROBE_REPLY_HOP_LIMIT];

/// An echo reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// The hop limit with which it arrived, if the system reports it.
    pub hop_limit: Option<u8>,
}

/// Adds the samples of a reply.
pub fn push_samples(reply: &EchoReply, samples: &mut Vec<Sample>) {
    if let Some(hop_limit) = reply.hop_limit {
        samples.push(Sample {
            family: &REPLY_HOP_LIMIT,
            labels: Vec::new(),
            value: f64::from(hop_limit),
        });
    }
}

/// Adds the samples of a probe. As in blackbox_exporter, they are also present without a reply; the round trip is 0 then.
pub fn push_probe_samples(report: &mut Report, reply: Option<&EchoReply>) {
    let phases = report.phases;
    let spent = |phase| phases.spent(phase).as_secs_f64();
    let round_trip = reply.map_or(0.0, |_| spent(Phase::Processing));
    for (phase, took) in [
        ("resolve", spent(Phase::Resolve)),
        ("setup", spent(Phase::Connect)),
        ("rtt", round_trip),
    ] {
        report.push_probe_sample(&PROBE_DURATION, vec![Cow::Borrowed(phase)], took);
    }
    if let Some(hop_limit) = reply.and_then(|reply| reply.hop_limit) {
        report.push_probe_sample(&PROBE_REPLY_HOP_LIMIT, Vec::new(), f64::from(hop_limit));
    }
}
