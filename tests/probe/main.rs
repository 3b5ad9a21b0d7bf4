//! `/probe` as its clients see it: beside the real blackbox_exporter, behind its guard, and with requests that are wrong.

// Helpers of tests are not #[test] functions, for which clippy.toml allows it.
#![allow(clippy::unwrap_used)]

mod beside_blackbox;
#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod exposition;
mod guard;
mod memory;
mod newer_versions;
mod places;
mod requests;
mod scraped;
mod tokens;

use common::exporter::Exporter;

/// The key that allows what tests listen on.
const ALLOW_LOOPBACK: &str = "probe: { allow: [{ networks: [127.0.0.0/8, \"::1\"] }] }\n";

/// How often a probe is repeated that was inconclusive because the exporter lacked CPU time.
const MAX_ATTEMPTS: usize = 10;

/// The status and the text of a response. On a busy machine, a probe may be inconclusive: then it is repeated.
async fn ask(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut last = (0, String::new());
    for _ in 0..MAX_ATTEMPTS {
        let mut request = client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        last = (response.status().as_u16(), response.text().await.unwrap());
        if last.0 != 503 {
            break;
        }
    }
    last
}

/// The path of a probe.
fn path(module: &str, target: &str) -> String {
    let target: String =
        percent_encoding::utf8_percent_encode(target, percent_encoding::NON_ALPHANUMERIC).collect();
    format!("/probe?module={module}&target={target}")
}

/// Probes by an exporter of ours.
async fn probe(exporter: &Exporter, module: &str, target: &str) -> (u16, String) {
    ask(&exporter.url(&path(module, target)), &[]).await
}
