//! Dialogues with well-behaved servers: mail, SSH, Redis, TLS over a Unix socket.

use tokio::net::{TcpStream, UnixListener};
use upkeep_exporter::model::Reason;

use super::{debug_log, failed_due_to, found, once, probed, shortly};
use crate::common::redis::Redis;
use crate::common::talkers::Talker;
use crate::common::targets::tls::{Authority, serve};

#[tokio::test]
async fn a_dialogue_with_a_mail_server_starts_tls() {
    let authority = Authority::new("authority");
    let mail = Talker::mail(&authority.issue(&["127.0.0.1"], 2099)).await;
    let keys = |more: &str, ca: &str| {
        let ca = ca.replace('\n', "\\n");
        format!(
            "kind: tcp, address: \"127.0.0.1:{}\", tls_config: {{ ca: \"{ca}\" }}, query_response: [
                {{ expect: '^220 ([^ ]+) (.+)$', labels: [{{ name: host, value: '${{1}}' }}] }},
                {{ send: \"EHLO prober\\r\" }},
                {{ expect: '^250-STARTTLS' }},
                {{ send: \"STARTTLS\\r\" }},
                {{ expect: '^220' }},
                {{ starttls: true }},
                {{ send: \"EHLO prober\\r\" }},
                {{ expect: '^250-AUTH' }},
                {more}
                {{ send: \"QUIT\\r\" }},
                {{ expect: '^221' }}]",
            mail.port()
        )
    };
    let ran = once(&keys("", &authority.pem())).await;
    ran.succeeded();
    assert!(ran.not_after().is_some());
    assert_eq!(found(&ran), ["host=mail.test"]);
    assert_eq!(failed_due_to(&ran), (0.0, 0.0));
    assert!(probed(&ran, "probe_ip_protocol") > 3.0);
    let log = debug_log(&ran);
    for step in [
        "query_response[0]: waiting for a line that matches /^220 ([^ ]+) (.+)$/",
        "received \"220 mail.test Python SMTP ",
        "query_response[1]: sending a line",
        "received \"250-STARTTLS\", which matches /^250-STARTTLS/",
        "in the TLS handshake with 127.0.0.1:",
    ] {
        assert!(log.iter().any(|line| line.starts_with(step)), "{step}: {log:#?}");
    }

    // Sent lines are never shown, not even if the server rejects them.
    let secret = "AGFub255bW91cwBodW50ZXIy";
    let login = format!(
        "{{ send: \"AUTH PLAIN {secret}\\r\" }}, {{ expect: '^5(.*)', send: \"NOPE {secret}\\r\" }},"
    );
    let ran = once(&keys(&login, &authority.pem()).replace("^221", "^299")).await;
    ran.failed(
        Reason::Assertion,
        "no line matched /^299/ before the server closed the connection: received 2 lines, the last was \"221 Bye\"",
    );
    let all = format!("{:?} {:?}", ran.result, ran.report);
    assert!(all.contains("received") && !all.contains(secret), "{all}");
}

#[tokio::test]
async fn a_certificate_is_verified_after_starttls() {
    let authority = Authority::new("authority");
    let mail = Talker::mail(&authority.issue(&["127.0.0.1"], 2099)).await;
    let ran = once(&format!(
        "kind: tcp, address: \"127.0.0.1:{}\", query_response: [
            {{ expect: '^220', send: \"EHLO prober\\r\" }},
            {{ expect: '^250 ', send: \"STARTTLS\\r\" }},
            {{ expect: '^220', starttls: true }}]",
        mail.port()
    ))
    .await;
    ran.failed(Reason::Tls, "issuer (CN=authority) is not trusted")
        .without_response();
    assert!(ran.not_after().is_some());
    assert_eq!(failed_due_to(&ran), (0.0, 0.0));
}

#[tokio::test]
async fn the_version_of_an_ssh_server_becomes_a_label() {
    let ssh = Talker::ssh().await;
    let address = format!("kind: tcp, address: \"127.0.0.1:{}\"", ssh.port());
    let ran = once(&format!(
        "{address}, query_response: [{{ expect: '^SSH-2.0-([^ -]+)(?: (?P<comments>.*))?$', send: SSH-2.0-prober,
            labels: [{{ name: ssh_version, value: '${{1}}' }}, {{ name: comments, value: '$comments' }}] }}]"
    ))
    .await;
    ran.succeeded();
    let found = found(&ran);
    assert!(
        found[0].starts_with("ssh_version=OpenSSH_") && found[0].contains(",comments="),
        "{found:?}"
    );
    // The server waits two minutes for the client's version.
    let keys = format!("{address}, query_response: [{{ expect: '^SSH-1.99-' }}]");
    let ran = shortly(&keys).await;
    ran.hung(
        "query_response[0]: waiting for a line that matches /^SSH-1.99-/; received one line: \"SSH-2.0-",
    );
    once(&format!(
        "{address}, query_response: [{{ send: GET }}, {{ expect: '^HTTP' }}]"
    ))
    .await
    .failed(Reason::Assertion, "no line matched /^HTTP/");
}

#[tokio::test]
async fn a_dialogue_with_redis_works_over_tcp_and_a_unix_socket() {
    let redis = Redis::with_password("hunter2hunter2", &[]).await;
    let socket = redis.dir().join("redis.sock");
    let at = [
        format!("kind: tcp, address: \"127.0.0.1:{}\"", redis.port()),
        format!("kind: unix, path: {}", socket.display()),
    ];
    for at in at {
        let login = "{ send: \"AUTH hunter2hunter2\\r\" }, { expect_bytes: \"+OK\\r\\n\" }";
        let ran = once(&format!(
            "{at}, query_response: [{login}, {{ send: PING }}, {{ expect: '^.PONG$' }}]"
        ))
        .await;
        ran.succeeded();
        redis.left().await;
        let ran = once(&format!(
            "{at}, query_response: [{{ send: PING }}, {{ expect_bytes: \"+PONG\" }}]"
        ))
        .await;
        ran.failed(Reason::Assertion, "received \"-NOAU\" instead of \"+PONG\"")
            .without_response();
        assert_eq!(failed_due_to(&ran), (0.0, 1.0));
        redis.left().await;
        // An empty dialogue only connects.
        once(&format!("{at}, query_response: []")).await.succeeded();
        redis.left().await;
    }
}

#[tokio::test]
async fn tls_works_over_a_unix_socket() {
    let authority = Authority::new("authority");
    let target = serve(&authority.issue(&["app.example"], 2099), &[], None).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let address = target.address;
    let relay = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(address).await.unwrap();
            // Either side may close the connection.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    let keys = |tls: &str| {
        format!(
            "kind: unix, path: {}, tls: true, tls_config: {{ {tls} }}, query_response: [
                {{ send: \"GET / HTTP/1.1\\r\\nHost: app.example\\r\\n\\r\" }}, {{ expect: '^HTTP/1.1 200' }}]",
            path.display()
        )
    };
    let ca = authority.pem().replace('\n', "\\n");
    let ran = once(&keys(&format!("ca: \"{ca}\", server_name: app.example"))).await;
    ran.succeeded();
    assert!(ran.not_after().is_some());
    once(&keys("insecure_skip_verify: true")).await.succeeded();
    let wrong = once(&keys(&format!("ca: \"{ca}\", server_name: b.example"))).await;
    wrong.failed(
        Reason::Tls,
        "app.sock: the certificate is not valid for b.example: it is valid for app.example",
    );
    target.freed().await;
    relay.abort();
}
