//! The samples that probes of several kinds share: name resolution and addresses. The families have the names and meanings of
//! blackbox_exporter's.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{Family, Report, Sample};

/// The duration of the name resolution.
pub static DNS_LOOKUP_TIME: Family = Family::probe(
    "probe_dns_lookup_time_seconds",
    &[],
    "Duration of the name resolution in seconds.",
);
/// The IP version of the address.
pub static IP_PROTOCOL: Family = Family::probe(
    "probe_ip_protocol",
    &[],
    "IP version of the address used: 4 or 6.",
);
/// Shows that the address has changed without showing the address.
pub static IP_ADDR_HASH: Family = Family::probe(
    "probe_ip_addr_hash",
    &[],
    "Hash of the address used. It changes when the address changes.",
);

/// The families of every probe whose target has an address.
pub const FAMILIES: &[&Family] = &[&DNS_LOOKUP_TIME, &IP_PROTOCOL, &IP_ADDR_HASH];

/// Records the first address of the target, and how long the resolution took. A run that follows redirects resolves several
/// names; only the first one is recorded. Returns whether this was the first.
pub fn record_resolved(report: &mut Report, address: IpAddr, lookup: Duration) -> bool {
    if report.probe.as_ref().is_none_or(|samples| has_address(samples)) {
        return false;
    }
    report.push_probe_sample(&DNS_LOOKUP_TIME, Vec::new(), lookup.as_secs_f64());
    report.push_probe_sample(&IP_PROTOCOL, Vec::new(), protocol(address));
    report.push_probe_sample(&IP_ADDR_HASH, Vec::new(), f64::from(hash(address)));
    true
}

/// Records that the target has no address, and how long the resolution took.
pub fn record_unresolved(report: &mut Report, lookup: Duration) {
    if report.probe.as_ref().is_some_and(|samples| !has_address(samples)) {
        report.push_probe_sample(&DNS_LOOKUP_TIME, Vec::new(), lookup.as_secs_f64());
        report.push_probe_sample(&IP_PROTOCOL, Vec::new(), 0.0);
        report.push_probe_sample(&IP_ADDR_HASH, Vec::new(), 0.0);
    }
}

/// Replaces the recorded address by the one that was connected to.
pub fn record_connected(report: &mut Report, address: IpAddr) {
    for sample in report.probe.iter_mut().flatten() {
        if sample.family == &IP_PROTOCOL {
            sample.value = protocol(address);
        } else if sample.family == &IP_ADDR_HASH {
            sample.value = f64::from(hash(address));
        }
    }
}

fn has_address(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| sample.family == &IP_PROTOCOL)
}

fn protocol(address: IpAddr) -> f64 {
    if address.is_ipv4() { 4.0 } else { 6.0 }
}

/// The 32-bit FNV-1a hash of the address.
fn hash(address: IpAddr) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let start = 0x811c_9dc5;
    match address {
        IpAddr::V4(address) => address.octets().iter().fold(start, step),
        IpAddr::V6(address) => address.octets().iter().fold(start, step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probes_record_addresses_and_only_the_first_name() {
        let (v4, v6): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), "::1".parse().unwrap());
        let mut report = Report::default();
        assert!(!record_resolved(&mut report, v4, Duration::ZERO));
        assert!(report.probe.is_none());
        report.probe = Some(Vec::new());
        assert!(record_resolved(&mut report, v6, Duration::from_millis(2)));
        assert!(!record_resolved(&mut report, v6, Duration::from_millis(3)));
        record_connected(&mut report, v4);
        let values: Vec<f64> = report.probe.unwrap().iter().map(|sample| sample.value).collect();
        // blackbox_exporter 0.23 shows the same hash for this address.
        assert_eq!(values, [0.002, 4.0, 3_668_918_509.0]);
    }
}
