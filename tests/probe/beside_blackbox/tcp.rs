//! tcp probes of real servers and of ports that misbehave.

use std::fs;

use tokio::io::AsyncWriteExt;

use super::{Difference, cases, compare_all, is_of_tls};
use crate::common::redis::Redis;
use crate::common::talkers::Talker;
use crate::common::targets::{Target, tls};
use crate::exposition::family;

/// Where we differ in tcp probes alone.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "`expect_bytes` has a failure metric",
        explains: |_, series, theirs, ours| {
            series == "probe_failed_due_to_bytes" && theirs.is_none() && ours == Some(0.0)
        },
    },
    Difference {
        name: "The parameter hostname also applies to TLS",
        explains: |case, series, theirs, ours| {
            let is_told = match family(series) {
                "probe_success" => theirs == Some(0.0) && ours == Some(1.0),
                family => is_of_tls(family) && theirs.is_none() && ours.is_some(),
            };
            case == "TLS, called otherwise" && is_told
        },
    },
    Difference {
        name: "An expired root certificate is accepted",
        explains: |case, series, theirs, ours| {
            let is_told = match family(series) {
                "probe_success" => theirs == Some(0.0) && ours == Some(1.0),
                family => is_of_tls(family) && theirs.is_none() && ours.is_some(),
            };
            case == "TLS, the root has ended" && is_told
        },
    },
];

const MODULES: &str = r#"
  plain: { prober: tcp, timeout: 2s }
  short: { prober: tcp, timeout: 1s, tcp: { query_response: [{ expect: "^never" }] } }
  ip6_only: { prober: tcp, tcp: { preferred_ip_protocol: ip6, ip_protocol_fallback: false } }
  ip4_only: { prober: tcp, tcp: { preferred_ip_protocol: ip4, ip_protocol_fallback: false } }
  from: { prober: tcp, tcp: { source_ip_address: 127.0.0.9 } }
  any_tls: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { insecure_skip_verify: true } } }
  our_tls: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: CA } } }
  short_root: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: SHORT } } }
  old_root: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: PAST } } }
  two_roots: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: BOTH } } }
  own_ca: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: OWN } } }
  named_tls: { prober: tcp, tcp: { tls: true, tls_config: { ca_file: CA , server_name: example.org } } }
  no_ca: { prober: tcp, tcp: { tls: true } }
  ssh: { prober: tcp, timeout: 2s, tcp: { query_response: [{ expect: "^SSH-2.0-" }, { send: SSH-2.0-prober }] } }
  old_ssh: { prober: tcp, timeout: 2s, tcp: { query_response: [{ expect: "^SSH-1.99-" }] } }
  smtp: { prober: tcp, timeout: 5s, tcp: { query_response: [
      { expect: "^220 ([^ ]+) (.+)$" }, { send: "EHLO prober\r" }, { expect: "^250-STARTTLS" }, { send: "STARTTLS\r" },
      { expect: "^220" }, { starttls: true }, { send: "EHLO prober\r" }, { expect: "^250-AUTH" }, { send: "QUIT\r" },
      { expect: "^221" }], tls_config: { ca_file: CA } } }
  smtp_no_ca: { prober: tcp, timeout: 5s, tcp: { query_response: [
      { expect: "^220" }, { send: "EHLO prober\r" }, { expect: "^250-STARTTLS" }, { send: "STARTTLS\r" },
      { expect: "^220" }, { starttls: true }, { send: "EHLO prober\r" }] } }
  redis: { prober: tcp, tcp: { query_response: [{ send: "PING\r" }, { expect: "^[+]PONG" }] } }
  redis_bad: { prober: tcp, timeout: 1s, tcp: { query_response: [{ send: "NONSENSE\r" }, { expect: "^[+]PONG" }] } }
  redis_tls: { prober: tcp, timeout: 2s, tcp: { tls: true, tls_config: { ca_file: CA }, query_response: [
      { send: "PING\r" }, { expect: "^[+]PONG" }] } }
  irc: { prober: tcp, timeout: 2s, tcp: { query_response: [
      { send: "NICK prober" }, { expect: "PING :([^ ]+)", send: "PONG ${1}" }, { expect: "^:[^ ]+ 001" }] } }
"#;

/// Wants the number that it sent back, as IRC servers do.
async fn irc() -> Target {
    Target::serve(|mut stream, number, _| async move {
        use tokio::io::AsyncBufReadExt;
        let (reading, mut writing) = stream.split();
        let mut lines = tokio::io::BufReader::new(reading).lines();
        lines.next_line().await.ok()??;
        let token = format!("{number}x");
        writing
            .write_all(format!("NOTICE AUTH :hello\nPING :{token}\n").as_bytes())
            .await
            .ok()?;
        let answer = lines.next_line().await.ok()??;
        let code = if answer == format!("PONG {token}") {
            "001"
        } else {
            "451"
        };
        writing
            .write_all(format!(":irc.test {code} prober\n").as_bytes())
            .await
            .ok()?;
        writing.shutdown().await.ok()?;
        drop(lines);
        Some(stream)
    })
    .await
}

/// Says this without being asked, and closes.
async fn saying(words: &'static str) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        stream.write_all(words.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()?;
        Some(stream)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_probes_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new("test authority");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let local = ["localhost", "127.0.0.1"];
    let identity = authority.issue(&local, 2099);
    let mail = Talker::mail(&identity).await;
    let ssh = Talker::ssh().await;
    let redis = Redis::start(&[]).await;
    let irc = irc().await;
    let silent = Target::silent().await;
    let closing = Target::closing(false).await;
    let resetting = Target::closing(true).await;
    let other = saying("hello\nbye\n").await;
    let full = Target::full().await;
    let redis_at = format!("127.0.0.1:{}", redis.port());
    let secure = tls::in_front_of(&identity, redis_at.parse().unwrap()).await;
    let expired = tls::serve(&authority.issue(&local, 2021), &[], None).await;
    let other_name = tls::serve(&authority.issue(&["example.org"], 2099), &[], None).await;
    let unsigned = tls::serve(&tls::self_signed(&local), &[], None).await;
    // A certificate that ends early and is of no chain: those of old cross-signed roots are sent for years.
    let unrelated = authority.issue(&local, 2030).certificate;
    let with_unrelated = tls::serve(&identity.clone().with(&[unrelated]), &[], None).await;
    let short = tls::Authority::until("short authority", 2050);
    let under_short = tls::serve(&short.issue(&local, 2099), &[], None).await;
    let old = tls::Authority::until("old authority", 2021);
    let under_old = tls::serve(&old.issue(&local, 2099), &[], None).await;
    let second = tls::Authority::new("second authority");
    let key = tls::key();
    let (early, late) = (
        authority.below("middle", &key, 2040),
        second.below("middle", &key, 2060),
    );
    let crossed = early.issue(&local, 2099).with(&[early.pem(), late.pem()]);
    let crossed = tls::serve(&crossed, &[], None).await;
    let own = tls::own_authority(&local);
    let written = |name: &str, pem: String| {
        let path = dir.path().join(name);
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let files = [
        ("SHORT", written("short.pem", short.pem())),
        ("PAST", written("past.pem", old.pem())),
        ("BOTH", written("both.pem", authority.pem() + &second.pem())),
        ("OWN", written("own.pem", own.certificate.clone())),
    ];
    let own = tls::serve(&own, &[], None).await;
    let only_ip6 = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let refusing = Target::refusing().await.to_string();
    let at = |target: &Target| target.address.to_string();
    let port = |port: u16| format!("127.0.0.1:{port}");
    let cases = cases(vec![
        ("open", "plain", at(&silent)),
        (
            "open, by name",
            "plain",
            format!("localhost:{}", silent.address.port()),
        ),
        (
            "by name, IPv4",
            "ip4_only",
            format!("localhost:{}", silent.address.port()),
        ),
        (
            "by name, without an IPv6 address",
            "ip6_only",
            format!("localhost:{}", silent.address.port()),
        ),
        ("IPv6 wanted of an IPv4 address", "ip6_only", at(&silent)),
        (
            "over IPv6",
            "ip6_only",
            only_ip6.local_addr().unwrap().to_string(),
        ),
        (
            "over IPv6, IPv4 wanted",
            "ip4_only",
            only_ip6.local_addr().unwrap().to_string(),
        ),
        ("from an address", "from", at(&silent)),
        ("refusing", "plain", refusing.clone()),
        ("refusing, a dialogue wanted", "short", refusing.clone()),
        ("refusing, TLS wanted", "our_tls", refusing),
        ("backlog full", "plain", at(&full)),
        ("unknown name", "plain", "nonexistent.invalid:1".to_owned()),
        ("without a port", "plain", "127.0.0.1".to_owned()),
        ("with a path", "plain", format!("{}/path?u=http://a", at(&silent))),
        ("a URL", "plain", format!("http://{}/", at(&silent))),
        ("closing", "short", at(&closing)),
        ("resetting", "redis", at(&resetting)),
        ("closing as it is asked", "redis", at(&closing)),
        ("silent", "short", at(&silent)),
        ("another line", "short", at(&other)),
        ("secure shell", "ssh", port(ssh.port())),
        ("another version of secure shell", "old_ssh", port(ssh.port())),
        ("mail", "smtp", port(mail.port())),
        ("mail, not trusted", "smtp_no_ca", port(mail.port())),
        ("mail that is secure shell", "smtp", port(ssh.port())),
        ("redis", "redis", redis_at.clone()),
        ("redis does not know it", "redis_bad", redis_at.clone()),
        ("redis over TLS", "redis_tls", at(&secure)),
        ("redis over TLS, without TLS", "redis_tls", redis_at.clone()),
        ("captures", "irc", at(&irc)),
        ("TLS", "our_tls", at(&secure)),
        (
            "TLS, by name",
            "our_tls",
            format!("localhost:{}", secure.address.port()),
        ),
        ("TLS not trusted", "no_ca", at(&secure)),
        ("TLS expired", "our_tls", at(&expired)),
        ("TLS for another name", "our_tls", at(&other_name)),
        ("TLS with a name", "named_tls", at(&other_name)),
        (
            "TLS, called otherwise",
            "our_tls&hostname=example.org",
            at(&other_name),
        ),
        ("TLS unsigned", "our_tls", at(&unsigned)),
        ("TLS not verified", "any_tls", at(&expired)),
        ("TLS, more than the chain", "our_tls", at(&with_unrelated)),
        ("TLS, the root ends first", "short_root", at(&under_short)),
        ("TLS, the root has ended", "old_root", at(&under_old)),
        ("TLS, a chain of three", "our_tls", at(&crossed)),
        ("TLS, two chains", "two_roots", at(&crossed)),
        ("TLS, trusted by itself", "own_ca", at(&own)),
        (
            "TLS, more than the chain, not verified",
            "any_tls",
            at(&with_unrelated),
        ),
        ("TLS with what is silent", "any_tls", at(&silent)),
        ("TLS with what closes", "any_tls", at(&closing)),
        ("in the clear to a port with TLS", "redis", at(&secure)),
    ]);
    let mut modules = MODULES.replace(" CA ", &format!(" {} ", ca.display()));
    for (name, path) in files {
        modules = modules.replace(name, &path);
    }
    compare_all(&modules, &cases, DIFFERENCES).await;
}
