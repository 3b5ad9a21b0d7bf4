//! icmp probes of this machine. Both have to be allowed to ping.

use std::process::Command;

use super::{Difference, cases, compare_all};
use crate::common::servers::tool;

/// Where we differ in icmp probes alone.
pub const DIFFERENCES: &[Difference] = &[];

const MODULES: &str = r#"
  plain: { prober: icmp, timeout: 2s }
  empty: { prober: icmp, timeout: 2s, icmp: { payload_size: 1 } }
  large: { prober: icmp, timeout: 2s, icmp: { payload_size: 9000 } }
  whole: { prober: icmp, timeout: 2s, icmp: { dont_fragment: true, preferred_ip_protocol: ip4 } }
  near: { prober: icmp, timeout: 2s, icmp: { ttl: 1 } }
  from: { prober: icmp, timeout: 2s, icmp: { source_ip_address: 127.0.0.9 } }
  ip4_only: { prober: icmp, timeout: 1s, icmp: { preferred_ip_protocol: ip4, ip_protocol_fallback: false } }
  ip6_only: { prober: icmp, timeout: 1s, icmp: { preferred_ip_protocol: ip6, ip_protocol_fallback: false } }
"#;

/// Ends the test where nobody but root may ping: it would compare failures.
fn assert_that_pinging_is_allowed() {
    let mut sets = Command::new(tool("setpriv", "util-linux"));
    let sets = sets.arg("--dump").output().unwrap();
    let text = String::from_utf8_lossy(&sets.stdout).into_owned();
    let is_capable = text
        .lines()
        .any(|line| line.starts_with("Capability bounding set") && line.contains("net_raw"));
    assert!(
        rustix::process::geteuid().is_root() && is_capable,
        "blackbox_exporter may not ping here: run this test as root, with the capability NET_RAW"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn icmp_probes_tell_the_same() {
    assert_that_pinging_is_allowed();
    let cases = cases(vec![
        ("IPv4", "plain", "127.0.0.1".to_owned()),
        ("IPv6", "plain", "::1".to_owned()),
        ("by name", "plain", "localhost".to_owned()),
        ("small", "empty", "127.0.0.1".to_owned()),
        ("large", "large", "127.0.0.1".to_owned()),
        ("large, IPv6", "large", "::1".to_owned()),
        ("in one piece", "whole", "127.0.0.1".to_owned()),
        ("not far", "near", "127.0.0.1".to_owned()),
        ("not far, IPv6", "near", "::1".to_owned()),
        ("from an address", "from", "127.0.0.1".to_owned()),
        ("IPv4 wanted, IPv4", "ip4_only", "127.0.0.1".to_owned()),
        ("IPv4 wanted, IPv6", "ip4_only", "::1".to_owned()),
        ("IPv6 wanted, IPv6", "ip6_only", "::1".to_owned()),
        ("IPv6 wanted, IPv4", "ip6_only", "127.0.0.1".to_owned()),
        ("unknown name", "plain", "nonexistent.invalid".to_owned()),
        ("a URL", "plain", "https://127.0.0.1/".to_owned()),
        ("a space", "plain", " 127.0.0.1".to_owned()),
    ]);
    compare_all(MODULES, &cases, DIFFERENCES).await;
}
