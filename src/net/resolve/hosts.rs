//! The hosts file (hosts(5)): names that are resolved without DNS.

use std::collections::HashMap;
use std::net::IpAddr;

/// The longest hosts file that is read, in bytes.
pub const MAX_HOSTS_BYTES: u64 = 8 << 20;

/// Addresses by name.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Parses a hosts file. Skips invalid lines, as glibc does.
    pub fn parse(text: &str) -> Self {
        let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let addresses = hosts.entry(name.to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(hosts)
    }

    /// The addresses of a name, in the order of the file.
    pub fn get(&self, name: &str) -> Option<&[IpAddr]> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.0.get(&name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses() {
        let hosts = Hosts::parse(
            "# comment\n127.0.0.1 a b # c\n::1\tA\nbroken line\n192.0.2.1 a\n192.0.2.1 a\n10.0.0.1\n\u{fffd}\n",
        );
        let shown = |name| {
            hosts
                .get(name)
                .map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            shown("a"),
            Some(vec!["127.0.0.1".into(), "::1".into(), "192.0.2.1".into()])
        );
        assert_eq!(shown("B."), Some(vec!["127.0.0.1".into()]));
        assert_eq!((shown("c"), shown("line")), (None, None));
    }
}
