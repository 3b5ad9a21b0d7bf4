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

/// The status and the text of an answer.
async fn ask(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
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
