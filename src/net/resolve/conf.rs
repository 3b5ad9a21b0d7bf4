//! Parses resolv.conf(5) as glibc does: name servers, options, and the candidate names of a host.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The maximum number of name servers (MAXNS in glibc's resolv.h). More are ignored.
const MAX_SERVERS: usize = 3;
/// The maximum number of search domains. glibc has no limit, but every domain costs a query.
const MAX_DOMAINS: usize = 32;
/// The largest `ndots` (RES_MAXNDOTS).
const MAX_DOTS: u32 = 15;
/// The largest `timeout`, in seconds (RES_MAXRETRANS), and the default (RES_TIMEOUT).
const MAX_TIMEOUT: u32 = 30;
const TIMEOUT: u32 = 5;
/// The largest `attempts` (RES_MAXRETRY), and the default (RES_DFLRETRY).
const MAX_ATTEMPTS: u32 = 5;
const ATTEMPTS: u32 = 2;

/// The settings outside the file.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The variable LOCALDOMAIN: search domains that replace those of the file.
    pub local_domain: Option<String>,
    /// The variable RES_OPTIONS: options that override those of the file.
    pub options: Option<String>,
    /// The host name of the machine. Its domain is searched if no other setting sets search domains.
    pub host_name: Option<String>,
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Its address.
    pub ip: IpAddr,
    /// The interface of a link-local address: a name or a number.
    pub zone: Option<String>,
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers in the order in which they are queried, at least one.
    pub servers: Vec<ServerAddress>,
    /// The search domains.
    pub search: Vec<String>,
    /// A name with at least this many dots is first queried as it is.
    pub ndots: usize,
    /// How long to wait for one server.
    pub timeout: Duration,
    /// How often all servers are tried.
    pub attempts: usize,
    /// Whether every name starts with the next server.
    pub rotate: bool,
    /// Whether queries use TCP.
    pub use_vc: bool,
    /// Whether queries accept longer responses (EDNS, RFC 6891).
    pub edns0: bool,
    /// Whether AAAA records are not queried.
    pub no_aaaa: bool,
    /// Whether names without a dot are queried in search domains only.
    pub no_tld_query: bool,
}

/// A candidate name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The full name, with a dot at its end.
    pub name: String,
    /// Whether a search domain was added.
    pub is_searched: bool,
}

impl ResolvConf {
    /// Parses the file. Ignores what is invalid, as glibc does.
    pub fn parse(text: &str, environment: &Environment) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(TIMEOUT.into()),
            attempts: ATTEMPTS as usize,
            rotate: false,
            use_vc: false,
            edns0: false,
            no_aaaa: false,
            no_tld_query: false,
        };
        let host_name = environment.host_name.as_deref().unwrap_or_default();
        let own_domain = host_name.split_once('.').map(|(_, domain)| domain);
        conf.search
            .extend(own_domain.filter(|own| !own.is_empty()).map(str::to_owned));
        for line in text.lines() {
            // A keyword starts a line and is followed by a blank.
            let Some((keyword, rest)) = line.split_once([' ', '\t']) else {
                continue;
            };
            let rest = rest.split(['#', ';']).next().unwrap_or_default();
            let mut words = rest.split_ascii_whitespace();
            match keyword {
                "nameserver" if conf.servers.len() < MAX_SERVERS => {
                    conf.servers.extend(words.next().and_then(server));
                }
                // The last `domain` or `search` line takes effect.
                "domain" => conf.set_search(words.take(1)),
                "search" => conf.set_search(words),
                "options" => conf.apply_options(words),
                _ => {}
            }
        }
        if let Some(domains) = &environment.local_domain {
            conf.search.clear();
            conf.set_search(domains.split_ascii_whitespace());
        }
        if let Some(options) = &environment.options {
            conf.apply_options(options.split_ascii_whitespace());
        }
        if conf.servers.is_empty() {
            // The default is the local machine (resolv.conf(5)). A public server must not learn the names.
            let ip = Ipv4Addr::LOCALHOST.into();
            conf.servers.push(ServerAddress { ip, zone: None });
        }
        conf
    }

    /// Replaces the search domains, unless the list is empty.
    fn set_search<'w>(&mut self, domains: impl Iterator<Item = &'w str>) {
        let domains: Vec<String> = domains.take(MAX_DOMAINS).map(str::to_owned).collect();
        if !domains.is_empty() {
            self.search = domains;
        }
    }

    fn apply_options<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        for word in words {
            let (option, value) = word.split_once(':').unwrap_or((word, ""));
            let number = |max: u32| number(value).min(max);
            match option {
                "ndots" => self.ndots = number(MAX_DOTS) as usize,
                "timeout" => self.timeout = Duration::from_secs(number(MAX_TIMEOUT).max(1).into()),
                "attempts" => self.attempts = number(MAX_ATTEMPTS).max(1) as usize,
                "rotate" => self.rotate = true,
                "use-vc" => self.use_vc = true,
                "edns0" => self.edns0 = true,
                "no-aaaa" => self.no_aaaa = true,
                "no-tld-query" => self.no_tld_query = true,
                // Other options have no effect: every query has its own socket, signatures are not requested, and a changed
                // file is always read again.
                _ => {}
            }
        }
    }

    /// The candidate names of a host, in the order in which they are queried.
    pub fn candidates(&self, host: &str) -> Vec<Candidate> {
        let bare = host.strip_suffix('.');
        let as_it_is = Candidate {
            name: format!("{}.", bare.unwrap_or(host)),
            is_searched: false,
        };
        if bare.is_some() {
            return vec![as_it_is];
        }
        let dots = host.matches('.').count();
        let below = |domain: &String| {
            let domain = domain.trim_matches('.');
            // The root domain: the name as it is.
            match domain.is_empty() {
                true => as_it_is.clone(),
                false => Candidate {
                    name: format!("{host}.{domain}."),
                    is_searched: true,
                },
            }
        };
        let mut names: Vec<Candidate> = self.search.iter().map(below).collect();
        if dots >= self.ndots {
            names.insert(0, as_it_is);
        } else if dots > 0 || names.is_empty() || !self.no_tld_query {
            names.push(as_it_is);
        }
        let mut seen = Vec::new();
        names.retain(|candidate| {
            let is_new = !seen.contains(&candidate.name);
            seen.push(candidate.name.clone());
            is_new
        });
        names
    }
}

/// The number at the start of a text, as atoi(3) parses it.
fn number(text: &str) -> u32 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text[..digits].parse() {
        Ok(number) => number,
        Err(_) if digits > 0 => u32::MAX,
        Err(_) => 0,
    }
}

fn server(word: &str) -> Option<ServerAddress> {
    let (address, zone) = match word.split_once('%') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (word, None),
    };
    let ip: IpAddr = address.parse().ok()?;
    Some(ServerAddress {
        ip,
        zone: zone.filter(|_| ip.is_ipv6()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text, &Environment::default())
    }

    fn names(conf: &ResolvConf, host: &str) -> String {
        let names: Vec<String> = conf
            .candidates(host)
            .into_iter()
            .map(|found| found.name)
            .collect();
        names.join(" ")
    }

    #[test]
    fn servers_are_parsed_as_in_glibc() {
        for (text, expected) in [
            ("", "127.0.0.1"),
            ("nameserver\nnameserver \nnameserver x\n", "127.0.0.1"),
            (
                "nameserver 192.0.2.1 \n nameserver 192.0.2.2\nnameserver\t192.0.2.3#x",
                "192.0.2.1 192.0.2.3",
            ),
            (
                "# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nnameserver ::1 x\n",
                "::1",
            ),
            (
                "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n",
                "1.1.1.1 1.1.1.2 1.1.1.3",
            ),
            (
                "nameserver fe80::1%eth0\nnameserver fe80::2%3\r\nnameserver 192.0.2.1%x",
                "fe80::1%eth0 fe80::2%3 192.0.2.1",
            ),
            (
                "Nameserver 192.0.2.1\nnameservers 192.0.2.2\n\u{fffd}\nnameserver 192.0.2.3",
                "192.0.2.3",
            ),
        ] {
            let shown: Vec<String> = parse(text)
                .servers
                .iter()
                .map(|server| match &server.zone {
                    Some(zone) => format!("{}%{zone}", server.ip),
                    None => server.ip.to_string(),
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn options_have_their_defaults_and_limits() {
        let shown = |conf: &ResolvConf| {
            let flags = [
                conf.rotate,
                conf.use_vc,
                conf.edns0,
                conf.no_aaaa,
                conf.no_tld_query,
            ];
            let flags: String = flags.iter().map(|flag| if *flag { 'x' } else { '.' }).collect();
            format!(
                "{} {} {} {flags}",
                conf.ndots,
                conf.timeout.as_secs(),
                conf.attempts
            )
        };
        for (text, expected) in [
            ("", "1 5 2 ....."),
            ("options timeout:1 attempts:3\noptions ndots:5", "5 1 3 ....."),
            ("options rotate use-vc edns0 no-aaaa no-tld-query", "1 5 2 xxxxx"),
            ("options timeout:0 attempts:0 ndots:0", "0 1 1 ....."),
            (
                "options timeout:99 attempts:99999999999 ndots:99",
                "15 30 5 .....",
            ),
            ("options timeout:2s attempts ndots:x", "0 2 1 ....."),
            (
                "options trust-ad single-request single-request-reopen inet6 no-reload debug what:ever rotate",
                "1 5 2 x....",
            ),
            ("options timeout:2 # attempts:5\n# options rotate", "1 2 2 ....."),
        ] {
            assert_eq!(shown(&parse(text)), expected, "{text}");
        }
        let environment = Environment {
            options: Some("timeout:3 rotate".to_owned()),
            ..Environment::default()
        };
        assert_eq!(
            shown(&ResolvConf::parse("options timeout:1", &environment)),
            "1 3 2 x...."
        );
    }

    #[test]
    fn the_last_search_or_domain_takes_effect() {
        let hosted = Environment {
            host_name: Some("web1.own.example".to_owned()),
            ..Environment::default()
        };
        let local = Environment {
            local_domain: Some("a.example b.example".to_owned()),
            ..hosted.clone()
        };
        let nothing = Environment {
            local_domain: Some(String::new()),
            ..hosted.clone()
        };
        for (text, environment, expected) in [
            ("", &Environment::default(), ""),
            ("", &hosted, "own.example"),
            ("search x y\ndomain z w", &hosted, "z"),
            ("domain z\nsearch x y # c", &hosted, "x y"),
            ("search x\nsearch \n", &hosted, "x"),
            ("search x", &local, "a.example b.example"),
            ("search x", &nothing, ""),
        ] {
            let conf = ResolvConf::parse(text, environment);
            assert_eq!(conf.search.join(" "), expected, "{text}");
        }
        let many: String = (0..100).map(|index| format!(" d{index}")).collect();
        assert_eq!(parse(&format!("search{many}")).search.len(), MAX_DOMAINS);
    }

    #[test]
    fn ndots_decides_whether_the_name_itself_is_first() {
        let conf = parse("search corp.example example.");
        assert_eq!(names(&conf, "db"), "db.corp.example. db.example. db.");
        assert_eq!(names(&conf, "db.x"), "db.x. db.x.corp.example. db.x.example.");
        assert_eq!(names(&conf, "db."), "db.");
        let conf = parse("search corp.example\noptions ndots:3");
        assert_eq!(names(&conf, "a.b.c"), "a.b.c.corp.example. a.b.c.");
        assert_eq!(names(&conf, "a.b.c.d"), "a.b.c.d. a.b.c.d.corp.example.");
        assert_eq!(names(&conf, "a.b.c."), "a.b.c.");
        let conf = parse("search . corp.example\noptions no-tld-query");
        assert_eq!(names(&conf, "db"), "db. db.corp.example.");
        let conf = parse("search corp.example\noptions no-tld-query");
        assert_eq!(names(&conf, "db"), "db.corp.example.");
        assert_eq!(names(&parse("options no-tld-query"), "db"), "db.");
        let searched: Vec<bool> = conf
            .candidates("a.b")
            .iter()
            .map(|name| name.is_searched)
            .collect();
        assert_eq!(searched, [false, true]);
    }
}
