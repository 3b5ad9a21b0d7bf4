//! The samples of an http probe, with blackbox_exporter's names and meanings.

use http::header::{CONTENT_LENGTH, LAST_MODIFIED, TRANSFER_ENCODING};
use http::{Version, response};

use super::judge::AssertionKind;
use crate::model::{Family, Phase, Report};
use crate::net::http::date;
use crate::net::tls;

static STATUS_CODE: Family = Family::probe(
    "probe_http_status_code",
    &[],
    "Status code of the final response, 0 if there was none.",
);
static CONTENT_LENGTH_FAMILY: Family = Family::probe(
    "probe_http_content_length",
    &[],
    "Content-Length of the final response, -1 if it has none.",
);
static REDIRECTS: Family = Family::probe("probe_http_redirects", &[], "Number of redirects followed.");
static SSL: Family = Family::probe(
    "probe_http_ssl",
    &[],
    "1 if the final response came over TLS, otherwise 0.",
);
static VERSION: Family = Family::probe("probe_http_version", &[], "HTTP version of the final response.");
static UNCOMPRESSED: Family = Family::probe(
    "probe_http_uncompressed_body_length",
    &[],
    "Length of the uncompressed body of the final response in bytes.",
);
static LAST_MODIFIED_FAMILY: Family = Family::probe(
    "probe_http_last_modified_timestamp_seconds",
    &[],
    "Last-Modified header of the final response, as a Unix time.",
);
static DURATION: Family = Family::probe(
    "probe_http_duration_seconds",
    &["phase"],
    "Duration of each phase of the request in seconds, summed over redirects.",
);
static FAILED_BY_REGEX: Family = Family::probe(
    "probe_failed_due_to_regex",
    &[],
    "1 if the probe failed because of a regular expression for the body or a header, otherwise 0.",
);
static FAILED_BY_CEL: Family = Family::probe(
    "probe_failed_due_to_cel",
    &[],
    "1 if the probe failed because of a CEL expression for the body, otherwise 0. Only if one is configured.",
);

/// The families of http probes.
pub const PROBE_FAMILIES: &[&Family] = &[
    &STATUS_CODE,
    &CONTENT_LENGTH_FAMILY,
    &REDIRECTS,
    &SSL,
    &VERSION,
    &UNCOMPRESSED,
    &LAST_MODIFIED_FAMILY,
    &DURATION,
    &FAILED_BY_REGEX,
    &FAILED_BY_CEL,
];

/// Facts about the final response and the redirects.
#[derive(Debug, Default)]
pub struct Facts {
    status: u16,
    content_length: f64,
    redirects: u32,
    is_tls: bool,
    version: f64,
    last_modified: Option<f64>,
    /// The length of the uncompressed body, in bytes.
    pub uncompressed: u64,
    /// The kind of assertion about the content that failed.
    pub failed_assertion: Option<AssertionKind>,
}

impl Facts {
    /// Records the head of a response. It replaces that of the previous response.
    pub fn record_head(&mut self, head: &response::Parts, is_tls: bool) {
        self.status = head.status.as_u16();
        self.is_tls = is_tls;
        self.content_length = content_length(head);
        self.version = match head.version {
            Version::HTTP_09 => 0.9,
            Version::HTTP_10 => 1.0,
            Version::HTTP_11 => 1.1,
            Version::HTTP_2 => 2.0,
            _ => 3.0,
        };
        self.last_modified = date(&head.headers, LAST_MODIFIED).map(|date| date.as_second() as f64);
    }

    /// Clears the facts about a response whose redirect is followed.
    pub fn clear_response(&mut self) {
        *self = Self {
            redirects: self.redirects,
            ..Self::default()
        };
    }

    /// Counts a redirect.
    pub fn record_redirect(&mut self) {
        self.redirects += 1;
    }

    /// Adds the samples of a probe. `has_cel` is whether the check has a CEL expression.
    pub fn push_probe_samples(&self, report: &mut Report, has_cel: bool) {
        if report.probe.is_none() {
            return;
        }
        // The samples of a TLS handshake are reported only if the final response came over TLS.
        if !self.is_tls {
            tls::probe_samples::remove_from(report);
        }
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        let connected = Phase::ALL
            .iter()
            .any(|phase| *phase != Phase::Resolve && !report.phases.spent(*phase).is_zero());
        for &phase in Phase::ALL {
            // Without an address, there are no other phases.
            if phase != Phase::Resolve && !connected {
                continue;
            }
            let seconds = report.phases.spent(phase).as_secs_f64();
            report.push_probe_sample(&DURATION, vec![phase.as_str().into()], seconds);
        }
        let body = self.uncompressed as f64;
        for (family, value) in [
            (&STATUS_CODE, f64::from(self.status)),
            (&CONTENT_LENGTH_FAMILY, self.content_length),
            (&REDIRECTS, f64::from(self.redirects)),
            (&SSL, flag(self.is_tls)),
            (&VERSION, self.version),
            (&UNCOMPRESSED, body),
            (
                &FAILED_BY_REGEX,
                flag(self.failed_assertion == Some(AssertionKind::Regex)),
            ),
        ] {
            report.push_probe_sample(family, Vec::new(), value);
        }
        if has_cel {
            report.push_probe_sample(
                &FAILED_BY_CEL,
                Vec::new(),
                flag(self.failed_assertion == Some(AssertionKind::Cel)),
            );
        }
        if let Some(time) = self.last_modified {
            report.push_probe_sample(&LAST_MODIFIED_FAMILY, Vec::new(), time);
        }
    }
}

/// The length of the body according to the head; -1 if it is not announced.
fn content_length(head: &response::Parts) -> f64 {
    let announced = head.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let has_no_body = matches!(head.status.as_u16(), 100..=199 | 204 | 304);
    match announced {
        _ if has_no_body => 0.0,
        // RFC 9112, section 6.3: Transfer-Encoding overrides the length.
        _ if head.headers.contains_key(TRANSFER_ENCODING) => -1.0,
        Some(length) => length as f64,
        None => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    #[test]
    fn the_final_head_counts() {
        let head = |status: u16, headers: &[(&str, &str)]| {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(()).unwrap().into_parts().0
        };
        let mut facts = Facts::default();
        let date = [
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("content-length", "5"),
        ];
        facts.record_head(&head(302, &date), true);
        assert_eq!(
            (facts.last_modified, facts.content_length),
            (Some(784_111_777.0), 5.0)
        );
        facts.record_redirect();
        facts.record_head(&head(200, &[("last-modified", "yesterday")]), false);
        assert_eq!((facts.last_modified, facts.content_length), (None, -1.0));
        let mut report = Report {
            probe: Some(Vec::new()),
            ..Report::default()
        };
        facts.push_probe_samples(&mut report, false);
        let value = |name: &str| {
            let samples = report.probe.as_ref().unwrap().iter();
            samples
                .clone()
                .find(|sample| sample.family.name == name)
                .map(|sample| sample.value)
        };
        assert_eq!(value("probe_http_redirects"), Some(1.0));
        assert_eq!(value("probe_http_ssl"), Some(0.0));
        assert_eq!(value("probe_http_status_code"), Some(200.0));
        assert_eq!(value("probe_failed_due_to_cel"), None);
    }
}
