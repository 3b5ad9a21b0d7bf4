//! Tests of the proxies of a request.

use super::*;
use crate::config::tests_support::resolve_json;

#[test]
fn no_proxy_supports_names_addresses_networks_and_ports() {
    let list = NoProxy::parse(
        "example.org, .sub.net, *.star.net,10.0.0.0/8,192.0.2.1,[2001:db8::1]:80,2001:db8:1::/48,p.net:81",
    );
    for (host, port, covered) in [
        ("example.org", 80, true),
        ("EXAMPLE.org.", 80, true),
        ("www.example.org", 80, true),
        ("badexample.org", 80, false),
        ("sub.net", 80, false),
        ("a.sub.net", 80, true),
        ("a.star.net", 80, true),
        ("10.255.0.1", 80, true),
        ("11.0.0.1", 80, false),
        ("192.0.2.1", 80, true),
        ("192.0.2.2", 80, false),
        ("2001:db8::1", 80, true),
        ("2001:db8::1", 81, false),
        ("2001:db8:1:2::3", 80, true),
        ("p.net", 80, false),
        ("p.net", 81, true),
        ("127.0.0.1", 80, false),
    ] {
        let host = host.to_owned();
        assert_eq!(
            list.covers(&HostPort {
                host: host.clone(),
                port
            }),
            covered,
            "{host}:{port}"
        );
    }
    assert!(NoProxy::parse("*").covers(&HostPort {
        host: "x".to_owned(),
        port: 1
    }));
}

fn resolve(url: &str) -> Result<ProxyServer, Vec<String>> {
    resolve_json(
        serde_json::json!({"proxy_url": url}),
        |options: serde_json::Value, root| {
            server(&root.field("proxy_url"), options["proxy_url"].as_str().unwrap())
        },
    )
}

#[test]
fn the_scheme_selects_the_protocol_and_the_default_port() {
    for (url, protocol, address) in [
        ("proxy.test:3128", ProxyProtocol::Http, "proxy.test:3128"),
        ("http://proxy.test", ProxyProtocol::Http, "proxy.test:80"),
        ("HTTPS://proxy.test/a?b", ProxyProtocol::Https, "proxy.test:443"),
        ("https://proxy.test:80", ProxyProtocol::Https, "proxy.test:80"),
        ("socks5://proxy.test", ProxyProtocol::Socks5, "proxy.test:1080"),
        ("socks5://proxy.test:80/", ProxyProtocol::Socks5, "proxy.test:80"),
        (
            "socks5h://me:x@proxy.test:443",
            ProxyProtocol::Socks5h,
            "proxy.test:443",
        ),
        (
            "socks5h://[2001:db8::1]",
            ProxyProtocol::Socks5h,
            "[2001:db8::1]:1080",
        ),
    ] {
        let server = resolve(url).unwrap();
        assert_eq!(
            (server.protocol, server.address.to_string().as_str()),
            (protocol, address),
            "{url}"
        );
        assert_eq!(server.credentials.is_some(), url.contains('@'), "{url}");
    }
}

#[test]
fn faulty_urls_of_proxies_have_messages_without_secrets() {
    let long = format!("socks5://me:{}@p", "x".repeat(256));
    for (url, message) in [
        (
            "socks4://me:hunter2@p",
            "the scheme socks4 is not supported: write http://, https://, socks5:// or socks5h://",
        ),
        (
            "me:hunter2@p://x",
            "the scheme of the proxy is not supported: write http://, https://, socks5:// or socks5h://",
        ),
        (
            "socks5://hunter2@p",
            "SOCKS5 needs a user name and a password of 1 to 255 bytes each: write user:password@",
        ),
        (
            &long,
            "SOCKS5 needs a user name and a password of 1 to 255 bytes each: write user:password@",
        ),
        (
            "socks5h://",
            "not a URL (empty host): write a URL such as http://127.0.0.1:8000/health",
        ),
    ] {
        assert_eq!(resolve(url), Err(vec![format!("proxy_url: {message}")]), "{url}");
    }
}
