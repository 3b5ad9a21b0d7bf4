//! Compares the resolver, checks and `/probe` with the system's resolver (getent, glibc), with several name servers that work
//! or fail in every way, in every order in resolv.conf. Every test has its own network and mounts.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::process::Command;
use tokio::time::Instant;
use upkeep_exporter::config::address::{AddressPreference, IpProtocol};
use upkeep_exporter::model::{Problem, Shortage};
use upkeep_exporter::net::resolve::Resolver;

use super::common::exporter::Exporter;
use super::common::servers::get;
use super::common::stage;
use super::common::targets::name_servers::{CLOSED, NameServers, address};
use super::*;

/// The kinds of name servers.
const KINDS: [&str; 9] = [
    "good",
    "nx",
    "servfail",
    "refused",
    "notimp",
    "silent",
    "truncated",
    "garbage",
    "closed",
];

/// How many names of one resolv.conf are resolved at the same time. With more, servers lose datagrams.
const CONCURRENT_NAMES: usize = 16;
/// How many files are used at the same time.
const CONCURRENT_FILES: usize = 4;

/// The servers of one resolv.conf, and the labels of names that control their behaviour.
struct Setting {
    conf: PathBuf,
    labels: Vec<String>,
}

/// All settings with this number of servers. The file determines the closed ports, the names determine everything else.
fn settings(folder: &Path, servers: usize) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for number in 0..KINDS.len().pow(u32::try_from(servers).unwrap()) {
        let kinds: Vec<&str> = (0..servers)
            .scan(number, |left, _| {
                let kind = KINDS[*left % KINDS.len()];
                *left /= KINDS.len();
                Some(kind)
            })
            .collect();
        let servers = kinds.iter().enumerate().map(|(at, kind)| match *kind {
            "closed" => CLOSED.to_owned(),
            _ => address(at),
        });
        let servers: Vec<String> = servers.collect();
        let conf = folder.join(servers.join("-"));
        let labels = kinds.join(".");
        match settings.iter_mut().find(|setting| setting.conf == conf) {
            Some(setting) => setting.labels.push(labels),
            None => {
                let lines: String = servers
                    .iter()
                    .map(|server| format!("nameserver {server}\n"))
                    .collect();
                fs::write(&conf, format!("{lines}options timeout:1 attempts:1\n")).unwrap();
                settings.push(Setting {
                    conf,
                    labels: vec![labels],
                });
            }
        }
    }
    settings
}

/// A resolver that reads this file.
fn files(conf: &Path) -> ResolverFiles {
    ResolverFiles {
        resolv_conf: conf.to_owned(),
        hosts: "/no/hosts".into(),
        ..ResolverFiles::default()
    }
}

async fn resolve(
    resolver: &Resolver,
    name: &str,
    deadline: Option<Duration>,
) -> Result<BTreeSet<String>, Problem> {
    let deadline = deadline.map(|left| Instant::now() + left);
    let found = resolver
        .resolve(name, None, AddressPreference::default(), deadline)
        .await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// The addresses that getent returns for these names with this resolv.conf.
async fn getent(conf: &Path, names: &[String]) -> Vec<BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    fs::write(folder.path().join("names"), names.join("\n")).unwrap();
    let script = format!(
        "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2/nsswitch.conf\" /etc/nsswitch.conf || exit 1\n\
         cd \"$2\"; xargs -P {CONCURRENT_NAMES} -n 1 sh -c 'getent ahosts \"$0\" >\"$0\" || true' <names"
    );
    let run = Command::new("unshare")
        .args(["--mount", "--propagation=private", "sh", "-c", &script, "sh"])
        .arg(conf)
        .arg(folder.path())
        .output()
        .await
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let found = names.iter().map(|name| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        let addresses = text
            .lines()
            .filter_map(|line| line.split_ascii_whitespace().next());
        addresses.map(str::to_owned).collect()
    });
    found.collect()
}

fn names(prefix: &str, labels: &[String]) -> Vec<String> {
    labels
        .iter()
        .map(|labels| format!("{prefix}.{labels}.test"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_queried_in_the_same_order_as_by_glibc() {
    if !stage::is_on_stage("name_servers::servers_are_queried_in_the_same_order_as_by_glibc") {
        return;
    }
    let servers = NameServers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings: Vec<Setting> = (2..=3).flat_map(|count| settings(folder.path(), count)).collect();
    assert_eq!(
        settings.iter().map(|setting| setting.labels.len()).sum::<usize>(),
        81 + 729
    );
    let mut wrong = differences(&servers, &settings, 1).await;
    // On a busy machine, a server can seem to be silent. So differences are tried again.
    if !wrong.is_empty() {
        let again: Vec<Setting> = wrong.into_iter().map(|(setting, _)| setting).collect();
        wrong = differences(&servers, &again, 2).await;
    }
    let texts: Vec<&str> = wrong.iter().map(|(_, text)| text.as_str()).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), texts.join("\n"));
}

/// Finds the settings for which glibc and the resolver return different addresses or query different servers.
async fn differences(servers: &NameServers, settings: &[Setting], round: usize) -> Vec<(Setting, String)> {
    let (them, us) = (&format!("theirs{round}"), &format!("ours{round}"));
    let compared = settings.iter().map(|setting| async move {
        let resolver = Resolver::new(files(&setting.conf));
        let (theirs, ours) = (names(them, &setting.labels), names(us, &setting.labels));
        let theirs = getent(&setting.conf, &theirs);
        let ours = ours.iter().map(|name| resolve(&resolver, name, None));
        let ours = futures_util::stream::iter(ours).buffered(CONCURRENT_NAMES);
        let (theirs, ours) = tokio::join!(theirs, ours.collect::<Vec<_>>());
        let mut wrong = Vec::new();
        for ((labels, theirs), ours) in setting.labels.iter().zip(theirs).zip(ours) {
            let queried = |prefix: &str| servers.servers_asked(&format!("{prefix}.{labels}.test"));
            let (their_servers, our_servers) = (queried(them), queried(us));
            let is_equal = match &ours {
                Ok(found) => *found == theirs,
                Err(problem) => {
                    theirs.is_empty() && problem.reason == Reason::Dns && problem.shortage.is_none()
                }
            };
            if !is_equal || their_servers != our_servers {
                let text = format!(
                    "{labels}: glibc queries {their_servers:?}, finds {theirs:?}; the resolver queries {our_servers:?}: {ours:?}"
                );
                let (conf, labels) = (setting.conf.clone(), vec![labels.clone()]);
                wrong.push((Setting { conf, labels }, text));
            }
        }
        wrong
    });
    let wrong = futures_util::stream::iter(compared).buffered(CONCURRENT_FILES);
    wrong.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_and_probes_connect_to_the_addresses_of_getent() {
    if !stage::is_on_stage("name_servers::checks_and_probes_connect_to_the_addresses_of_getent") {
        return;
    }
    let _servers = NameServers::start().await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let folder = tempfile::tempdir().unwrap();
    let system = folder.path().join("resolv.conf");
    fs::write(&system, "").unwrap();
    stage::run("mount", &["--bind", system.to_str().unwrap(), "/etc/resolv.conf"]);
    let config = "probe: { allow: [{ networks: [127.0.0.0/8] }], max_concurrent: 200 }\n\
                  modules: { tcp: { prober: tcp, timeout: 10s } }\n";
    let exporter = Exporter::start(config, &[]).await;
    let mut wrong = Vec::new();
    for setting in settings(folder.path(), 2) {
        // The exporter reloads the changed file.
        fs::write(&system, fs::read(&setting.conf).unwrap()).unwrap();
        let mut context = CheckContext::new("/proc".into());
        context.network = Network::new(files(&setting.conf));
        let names = names("any", &setting.labels);
        let found = getent(&setting.conf, &names);
        let checked = join_all(names.iter().map(|name| {
            let mut check = tcp_check(json!({"address": format!("{name}:{port}")}), &context);
            async move { run!(check, LONG).result }
        }));
        let probed = join_all(names.iter().map(|name| {
            let url = exporter.url(&format!("/probe?module=tcp&target={name}:{port}"));
            async move { get(&url).await.unwrap().contains("\nprobe_success 1\n") }
        }));
        let (found, checked, probed) = tokio::join!(found, checked, probed);
        for (((name, found), checked), probed) in names.iter().zip(found).zip(checked).zip(probed) {
            let is_found = !found.is_empty();
            let is_as_found = match &checked {
                Some(Ok(())) => is_found,
                Some(Err(problem)) => !is_found && problem.reason == Reason::Dns,
                None => false,
            };
            if !is_as_found || probed != is_found {
                wrong.push(format!(
                    "{name}: getent {found:?}, check {checked:?}, probe {probed}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A resolver with its own resolv.conf.
struct TestResolver {
    resolver: Resolver,
    folder: tempfile::TempDir,
}

impl TestResolver {
    fn new(conf: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        fs::write(&path, conf).unwrap();
        Self {
            resolver: Resolver::new(files(&path)),
            folder,
        }
    }

    fn rewrite(&self, conf: &str) {
        fs::write(self.folder.path().join("resolv.conf"), conf).unwrap();
    }

    /// Returns the addresses or the message of the problem.
    async fn result(&self, name: &str, deadline: Option<Duration>) -> String {
        match resolve(&self.resolver, name, deadline).await {
            Ok(found) => found.into_iter().collect::<Vec<_>>().join(" "),
            Err(problem) => problem.message().to_owned(),
        }
    }
}

const TWO: &str = "nameserver 127.0.0.1\nnameserver 127.0.0.2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_and_search_domains_are_supported() {
    if !stage::is_on_stage("name_servers::options_and_search_domains_are_supported") {
        return;
    }
    let servers = NameServers::start().await;
    let one = TestResolver::new("nameserver 127.0.0.1\noptions use-vc timeout:1 attempts:1\n");
    assert_eq!(one.result("vc.good.test", None).await, "127.0.1.1");
    assert!(servers.asked_by("vc").iter().all(|asked| asked.is_tcp));
    assert_eq!(servers.asked_by("vc").len(), 2);

    one.rewrite("nameserver 127.0.0.1\noptions edns0\n");
    assert_eq!(one.result("edns.good.test", None).await, "127.0.1.1");
    assert!(
        servers
            .asked_by("edns")
            .iter()
            .all(|asked| asked.has_edns && !asked.is_tcp)
    );
    assert_eq!(
        one.result("old.formerr.test", None).await,
        "resolving old.formerr.test: 127.0.0.1 returned FORMERR"
    );
    let without: Vec<_> = servers
        .asked_by("old")
        .into_iter()
        .filter(|asked| !asked.has_edns)
        .collect();
    assert_eq!(without.len(), 2, "every query is retried without EDNS");

    one.rewrite("nameserver 127.0.0.1\noptions no-aaaa\n");
    assert_eq!(one.result("four.good-good.test", None).await, "127.0.1.1");
    one.rewrite("nameserver 127.0.0.1\n");
    assert_eq!(one.result("both.good-good.test", None).await, "127.0.1.1 fd00::1");

    let two = TestResolver::new(&format!("{TWO}options rotate\n"));
    let turns = [
        two.result("turn.good.good", None).await,
        two.result("turn.good.good", None).await,
    ];
    assert_eq!(turns, ["127.0.1.1", "127.0.1.2"]);

    two.rewrite(&format!("{TWO}options timeout:1 attempts:3\n"));
    let started = std::time::Instant::now();
    let result = two.result("again.silent.servfail", None).await;
    let expected =
        "resolving again.silent.servfail: 127.0.0.1 did not respond within 1s; 127.0.0.2 returned SERVFAIL";
    assert_eq!(result, expected);
    let took = started.elapsed();
    assert!((3.0..6.0).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(servers.asked_by("again").len(), 2 * 2 * 3);

    // The first label is the name. The labels of the search domains control the server's behaviour.
    let search = TestResolver::new(
        "nameserver 127.0.0.1\nsearch nx.x good.y silent.z\noptions timeout:1 attempts:1\n",
    );
    assert_eq!(search.result("db", None).await, "127.0.1.1");
    let names = |prefix: &str| -> Vec<String> {
        let names: BTreeSet<String> = servers
            .asked_by(prefix)
            .into_iter()
            .map(|asked| asked.name)
            .collect();
        names.into_iter().collect()
    };
    assert_eq!(names("db"), ["db.good.y", "db.nx.x"]);
    assert_eq!(search.result("www.good", None).await, "127.0.1.1");
    assert_eq!(names("www"), ["www.good"]);
    search.rewrite("nameserver 127.0.0.1\nsearch good.y\noptions ndots:2\n");
    assert_eq!(
        search.result("api.nx", None).await,
        "resolving api.nx: the name does not exist (NXDOMAIN)"
    );
    assert_eq!(names("api"), ["api.nx", "api.nx.good.y"]);
    search.rewrite("nameserver 127.0.0.1\nsearch servfail.x silent.y good.z\noptions timeout:1 attempts:1\n");
    assert_eq!(
        search.result("far", None).await,
        "127.0.1.1",
        "the server knows the name without a search domain"
    );
    assert_eq!(
        names("far"),
        ["far", "far.servfail.x", "far.silent.y"],
        "a silent server ends the search"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_contains_the_cause() {
    if !stage::is_on_stage("name_servers::the_message_contains_the_cause") {
        return;
    }
    let servers = NameServers::start().await;
    let two = TestResolver::new(&format!("{TWO}options timeout:1 attempts:1\n"));
    for (name, expected) in [
        (
            "m.servfail-empty.good",
            "A: 127.0.0.1 returned SERVFAIL; AAAA: no such record",
        ),
        (
            "m.empty-refused.good",
            "AAAA: 127.0.0.1 returned REFUSED; A: no such record",
        ),
        (
            "m.nx-servfail.good",
            "AAAA: 127.0.0.1 returned SERVFAIL; A: no such record",
        ),
        ("m.empty.good", "the name has no address"),
        ("m.empty-nx.good", "the name does not exist (NXDOMAIN)"),
        ("m.formerr.good", "127.0.0.1 returned FORMERR"),
        (
            "m.servfail.refused",
            "127.0.0.1 returned SERVFAIL; 127.0.0.2 returned REFUSED",
        ),
    ] {
        assert_eq!(
            two.result(name, None).await,
            format!("resolving {name}: {expected}")
        );
    }
    // One address family is enough. The other server is not queried.
    assert_eq!(two.result("one.good-servfail.good", None).await, "127.0.1.1");
    assert_eq!(two.result("one.silent-good.good", None).await, "fd00::1");
    assert_eq!(servers.servers_asked("one.good-servfail.good"), [0].into());
    assert_eq!(servers.servers_asked("one.silent-good.good"), [0].into());
    assert_eq!(two.result("one.silent-empty.good", None).await, "127.0.1.2");

    let conf = format!("nameserver {CLOSED}\noptions timeout:1 attempts:1\n");
    let result = TestResolver::new(&conf).result("gone.test", None).await;
    let expected = format!("resolving gone.test: querying {CLOSED}:53 over UDP: Connection refused");
    assert!(result.starts_with(&expected), "{result}");
    let result = two.result("m.garbage.garbage", None).await;
    assert!(
        result.contains("127.0.0.1:53: the response is not a DNS message"),
        "{result}"
    );
    let result = TestResolver::new("nameserver 127.0.0.1\nsearch servfail.x nx.y")
        .result("m", None)
        .await;
    assert_eq!(result, "127.0.1.1", "the name without a search domain comes last");
    let result = TestResolver::new("nameserver 127.0.0.1\nsearch servfail.x")
        .result("m.nx", None)
        .await;
    assert_eq!(result, "resolving m.nx: the name does not exist (NXDOMAIN)");
    let only_ip6 = AddressPreference::new(Some(IpProtocol::Ip6), Some(false));
    let problem = two
        .resolver
        .resolve("m.good.good", None, only_ip6, None)
        .await
        .unwrap_err();
    assert_eq!(
        problem.message(),
        "resolving m.good.good: the name has no address"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_is_queried_before_a_short_deadline() {
    if !stage::is_on_stage("name_servers::every_server_is_queried_before_a_short_deadline") {
        return;
    }
    let servers = NameServers::start().await;
    // Five seconds per server, the default of resolv.conf.
    let two = TestResolver::new(TWO);
    let short = Some(Duration::from_secs(2));
    let started = std::time::Instant::now();
    assert_eq!(two.result("d.silent.good", short).await, "127.0.1.2");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let three = TestResolver::new(&format!("{TWO}nameserver 127.0.0.3\n"));
    assert_eq!(
        three
            .result("d.silent.silent.good", Some(Duration::from_secs(2)))
            .await,
        "127.0.1.3"
    );

    // The first server is slow. The second one, which does not know the name, does not override it.
    assert_eq!(
        two.result("d.slow1400.nx", Some(Duration::from_secs(3))).await,
        "127.0.1.1"
    );
    assert_eq!(servers.servers_asked("d.slow1400.nx"), [0, 1].into());
    let result = two.result("d.silent.nx", short).await;
    assert_eq!(
        result,
        "resolving d.silent.nx: the name does not exist (NXDOMAIN)"
    );
    // With one server, the query is sent twice, and the response to the first one counts.
    let one = TestResolver::new("nameserver 127.0.0.1\n");
    assert_eq!(one.result("slow.slow1200", short).await, "127.0.1.1");
    // All servers are silent. The run has enough time left to report it.
    let started = std::time::Instant::now();
    let result = two.result("d.silent.silent", short).await;
    let parts = [
        "127.0.0.1 did not respond within ",
        "127.0.0.2 did not respond within ",
    ];
    assert!(parts.iter().all(|part| result.contains(part)), "{result}");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    // A server that never responds to AAAA queries uses only a part of its time.
    assert_eq!(two.result("half.good-silent.nx", short).await, "127.0.1.1");
    assert_eq!(servers.servers_asked("half.good-silent.nx"), [0].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lack_of_descriptors_is_a_shortage_and_not_a_failed_resolution() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    if !stage::is_on_stage("name_servers::a_lack_of_descriptors_is_a_shortage_and_not_a_failed_resolution") {
        return;
    }
    let servers = NameServers::start().await;
    let two = TestResolver::new(TWO);
    assert_eq!(two.result("before.good.good", None).await, "127.0.1.1");
    // A resolver that has not read its files yet.
    let fresh = TestResolver::new(TWO);
    let limits = getrlimit(Resource::Nofile);
    // The next descriptor will have the number of this file, which is closed at once.
    let next = fs::File::open("/dev/null").unwrap().as_raw_fd();
    let mut tight = limits;
    tight.current = Some(u64::try_from(next).unwrap());
    setrlimit(Resource::Nofile, tight).unwrap();
    let ran = resolve(&two.resolver, "lack.good.good", None).await;
    let unread = resolve(&fresh.resolver, "lack.good.good", None).await;
    setrlimit(Resource::Nofile, limits).unwrap();
    let problem = ran.unwrap_err();
    assert_eq!(problem.shortage, Some(Shortage::Descriptors), "{problem}");
    assert!(
        problem.message().starts_with("resolving lack.good.good: "),
        "{problem}"
    );
    assert_eq!(servers.asked_by("lack"), []);
    let problem = unread.unwrap_err();
    assert_eq!(problem.shortage, Some(Shortage::Descriptors), "{problem}");
    // A file that could not be read is not cached as empty.
    assert_eq!(fresh.result("after.good.good", None).await, "127.0.1.1");
}
