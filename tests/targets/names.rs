//! Name resolution with the system's files and name servers, over both IP protocols.

use super::*;

/// A context that resolves names with this name server and these files.
fn context_with(server: &NameServer, hosts: &std::path::Path, resolv_conf: &std::path::Path) -> CheckContext {
    let mut context = CheckContext::new("/proc".into());
    context.network = Network::new(ResolverFiles {
        resolv_conf: resolv_conf.to_owned(),
        hosts: hosts.to_owned(),
        port: server.address.port(),
    });
    context
}

#[tokio::test]
async fn names_are_resolved_with_the_systems_files_and_servers() {
    let server = NameServer::start().await;
    let target = Target::answering(ok("")).await;
    let port = target.address.port();
    let directory = tempfile::tempdir().unwrap();
    let (hosts, resolv_conf) = (
        directory.path().join("hosts"),
        directory.path().join("resolv.conf"),
    );
    std::fs::write(
        &resolv_conf,
        "nameserver 127.0.0.1\nsearch corp.example\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    let context = context_with(&server, &hosts, &resolv_conf);
    let here = Answer::Addresses(vec!["127.0.0.1".parse().unwrap()]);
    let url = |name: &str| json!({"url": format!("http://{name}:{port}/")});

    let mut check = http_check(url("service.example"), &context);
    run!(check, LONG)
        .failed(
            Reason::Dns,
            "resolving service.example: the name does not exist (NXDOMAIN)",
        )
        .without_response();
    server.set("service.example", here.clone());
    let ran = run!(check, LONG);
    ran.succeeded();
    assert!(ran.phase("resolve") > 0.0);
    server.set("service.example", Answer::Failure);
    run!(check, LONG)
        .failed(Reason::Dns, "resolving service.example: ")
        .without_response();
    server.set("service.example", Answer::Silence);
    run!(check, SHORT).hung("resolving service.example");
    server.set("service.example", Answer::Addresses(Vec::new()));
    let mut absolute = http_check(url("service.example."), &context);
    run!(absolute, LONG).failed(Reason::Dns, "resolving service.example.: the name has no address");

    server.set("db_1.corp.example", here.clone());
    run!(
        tcp_check(json!({"address": format!("db_1:{port}")}), &context),
        LONG
    )
    .succeeded();

    let queries = server.asked().len();
    let mut check = http_check(url("inthefile"), &context);
    run!(check, LONG).failed(Reason::Dns, "NXDOMAIN");
    assert!(server.asked().len() > queries);
    std::fs::write(&hosts, "127.0.0.1 inthefile\n").unwrap();
    let queries = server.asked().len();
    run!(check, LONG).succeeded();
    run!(http_check(url("localhost"), &context), LONG).succeeded();
    run!(http_check(url("127.0.0.1"), &context), LONG).succeeded();
    assert_eq!(
        server.asked().len(),
        queries,
        "none of these needs the name server"
    );
}

#[tokio::test]
async fn addresses_of_both_protocols_are_tried() {
    let server = NameServer::start().await;
    let target = Target::answering(ok("")).await;
    let directory = tempfile::tempdir().unwrap();
    let (hosts, resolv_conf) = (
        directory.path().join("hosts"),
        directory.path().join("resolv.conf"),
    );
    // Without resolv.conf, the name server on this machine is used.
    let context = context_with(&server, &hosts, &resolv_conf);
    let both = vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    server.set("both.example", Answer::Addresses(both));
    let address = format!("both.example:{}", target.address.port());
    let with = |extra: Value| {
        let mut options = json!({"address": address});
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        tcp_check(options, &context)
    };
    run!(with(json!({})), LONG).succeeded();
    run!(
        with(json!({"preferred_ip_protocol": "ip4", "ip_protocol_fallback": false})),
        LONG
    )
    .succeeded();
    let ran = run!(with(json!({"ip_protocol_fallback": false})), LONG);
    assert!(matches!(ran.result, Some(Err(_))), "nothing listens on ::1");
    let full = Target::full().await;
    std::fs::write(&hosts, format!("{} two\n127.0.0.1 two\n", "127.0.0.9")).unwrap();
    let refused = run!(
        tcp_check(
            json!({"address": format!("two:{}", full.address.port())}),
            &context
        ),
        SHORT
    );
    refused.hung("connecting to 127.0.0.1:");
    let ran = run!(
        tcp_check(
            json!({"address": format!("two:{}", target.address.port())}),
            &context
        ),
        LONG
    );
    ran.succeeded();
    assert!(ran.took < Duration::from_secs(2));
}

#[tokio::test]
async fn a_name_server_that_drops_queries_for_the_preferred_protocol_is_tolerated() {
    let server = NameServer::start().await;
    let target = Target::answering(ok("")).await;
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let context = context_with(&server, &missing, &missing);
    let here = vec!["127.0.0.1".parse().unwrap()];
    server.set("half.example", Answer::SilenceButForIp4(here));
    let url = format!("http://half.example:{}/", target.address.port());
    let ran = run!(http_check(json!({"url": url}), &context), LONG);
    ran.succeeded();
    assert!(
        (0.5..2.0).contains(&ran.phase("resolve")),
        "{}",
        ran.phase("resolve")
    );
    let strict = json!({"url": url, "ip_protocol_fallback": false});
    run!(http_check(strict, &context), SHORT).hung("resolving half.example");
}
