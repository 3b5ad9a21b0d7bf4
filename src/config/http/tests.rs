//! Tests of the http options: the exact messages, and what is never shown.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;
use crate::config::place::{Invalid, Place};

fn resolve(options: Value) -> Result<HttpSettings, Vec<String>> {
    let findings = RefCell::default();
    let options: HttpOptions = serde_json::from_value(options).unwrap();
    options
        .resolve(&Place::root(&findings).field("check"))
        .map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|f| format!("{}: {}", f.path, f.message))
                .collect()
        })
}

fn with(mut options: Value) -> Result<HttpSettings, Vec<String>> {
    options["url"] = json!("http://127.0.0.1/");
    resolve(options)
}

#[test]
fn a_url_suffices() {
    let settings = resolve(json!({"url": "https://example.org/health?token=x"})).unwrap();
    assert_eq!(settings.target(), "https://example.org/health");
    assert_eq!((settings.method, settings.max_redirects), (Method::GET, Some(10)));
    assert_eq!(
        (settings.body_size_limit, settings.enable_http2),
        (Some(10 << 20), true)
    );
    assert_eq!(settings.assertions, Assertions::default());
    assert!(settings.proxy.is_none() && settings.credentials.is_none());
    assert!(settings.assertions.expects(http::StatusCode::NO_CONTENT));
    assert!(!settings.assertions.expects(http::StatusCode::NOT_MODIFIED));
}

#[test]
fn each_fault_has_its_message() {
    for (options, message) in [
        (
            json!({"method": "GE T"}),
            "check.method: \"GE T\" is no method of a request: write GET, HEAD, POST, ...",
        ),
        (
            json!({"headers": {"a b": "x"}}),
            "check.headers.?: \"a b\" is no name of a header",
        ),
        (
            json!({"headers": {"X": "a\nb"}}),
            "check.headers.X: the value holds characters that a header can't have (line breaks, say)",
        ),
        (
            json!({"headers": {"Connection": "x"}}),
            "check.headers.Connection: connection is set by the check itself and can't be changed",
        ),
        (
            json!({"body": "a", "body_file": "b"}),
            "check: give one of body and body_file, not both",
        ),
        (
            json!({"body_file": "/nonexistent/b"}),
            "check.body_file: reading /nonexistent/b: No such file or directory (os error 2)",
        ),
        (
            json!({"body_file": "/dev/zero"}),
            "check.body_file: reading /dev/zero: it is not a regular file",
        ),
        (
            json!({"valid_status_codes": [200, 999, 1000]}),
            "check.valid_status_codes[2]: 1000 is no HTTP status code: they are 100 to 999",
        ),
        (
            json!({"valid_http_versions": ["1.1"]}),
            "check.valid_http_versions[0]: \"1.1\" is not supported: write HTTP/1.0, HTTP/1.1 or HTTP/2.0",
        ),
        (
            json!({"follow_redirects": true, "no_follow_redirects": true}),
            "check.no_follow_redirects: it says the opposite of follow_redirects, of which it is the older name",
        ),
        (
            json!({"follow_redirects": false, "max_redirects": 2}),
            "check.max_redirects: max_redirects needs follow_redirects: true",
        ),
        (
            json!({"max_redirects": 101}),
            "check.max_redirects: 101 is too many: at most 100",
        ),
        (
            json!({"fail_if_body_matches_regexp": ["ok", "a(b"]}),
            "check.fail_if_body_matches_regexp[1]: \"a(b\" is not a regular expression: unclosed group",
        ),
        (
            json!({"fail_if_header_matches": [{"header": "X", "regexp": "["}]}),
            "check.fail_if_header_matches[0].regexp: \"[\" is not a regular expression: a closing ] is missing: [",
        ),
        (
            json!({"fail_if_header_matches": [{"header": "X", "regexp": ""}]}),
            "check.fail_if_header_matches[0].regexp: it is empty, which matches everything: write an expression",
        ),
        (
            json!({"headers": {"Upgrade": "websocket"}}),
            "check.headers.Upgrade: upgrade is set by the check itself and can't be changed",
        ),
        (
            json!({"fail_if_header_not_matches": [{"header": "", "regexp": "x"}]}),
            "check.fail_if_header_not_matches[0].header: \"\" is no name of a header",
        ),
        (
            json!({"fail_if_body_json_matches_cel": "bodi.x"}),
            "check.fail_if_body_json_matches_cel: this is not a CEL expression: there is no variable \"bodi\": the document is \"body\"",
        ),
        (
            json!({"compression": "br"}),
            "check.compression: \"br\" is not supported: write gzip, deflate or identity",
        ),
        (
            json!({"compression": "gzip", "headers": {"accept-encoding": "deflate"}}),
            "check.compression: the header Accept-Encoding asks for \"deflate\", not for gzip",
        ),
        (
            json!({"compression": "gzip", "http_headers": {"accept-encoding": {"values": ["deflate"]}}}),
            "check.compression: the header Accept-Encoding asks for \"deflate\", not for gzip",
        ),
        (
            json!({"oauth2": {}}),
            "check.oauth2: oauth2 is not supported by this version: use authorization with credentials_file and let another program renew it",
        ),
        (
            json!({"no_proxy": "x"}),
            "check.no_proxy: no_proxy needs proxy_url",
        ),
        (
            json!({"proxy_url": "http://p", "proxy_from_environment": true}),
            "check: give one of proxy_url and proxy_from_environment, not both",
        ),
        (
            json!({"proxy_url": "https://p"}),
            "check.proxy_url: proxies that are themselves reached over TLS are not supported: write http://",
        ),
        (
            json!({"proxy_connect_header": {"X": ["y"]}}),
            "check.proxy_connect_header: proxy_connect_header needs a proxy: add proxy_url",
        ),
    ] {
        assert_eq!(with(options), Err(vec![message.to_owned()]));
    }
}

#[test]
fn what_has_no_effect_is_a_remark() {
    for (options, remark) in [
        (
            json!({"fail_if_ssl": true, "fail_if_not_ssl": true}),
            "check: fail_if_ssl and fail_if_not_ssl together always fail: give one of them",
        ),
        (
            json!({"follow_redirects": false, "no_follow_redirects": true}),
            "check.no_follow_redirects: not needed: follow_redirects, of which it is the older name, says the same",
        ),
        (
            json!({"headers": {"Content-Length": "3"}}),
            "check.headers.Content-Length: not used: the request's body alone says this",
        ),
        (
            json!({"valid_http_versions": ["HTTP/1.1", "HTTP/3"]}),
            "check.valid_http_versions[1]: no answer has it: HTTP/3 is not spoken here",
        ),
        (
            json!({"headers": {"authorization": "x"}, "authorization": {"credentials": "b"}}),
            "check: not used, because there is a header Authorization: authorization",
        ),
        (
            json!({"http_headers": {"Authorization": {"secrets": ["x"]}}, "basic_auth": {"username": "b"}}),
            "check: not used, because there is a header Authorization: basic_auth",
        ),
    ] {
        let findings = RefCell::default();
        let mut options: HttpOptions = serde_json::from_value(options).unwrap();
        options.url = Some("http://127.0.0.1/".to_owned());
        let settings = options.resolve(&Place::root(&findings).field("check")).unwrap();
        let found: Vec<_> = findings.take();
        let [only] = &found[..] else { panic!("{found:?}") };
        assert_eq!(format!("{}: {}", only.path, only.message), remark);
        assert!(!only.is_error);
        assert!(settings.credentials.is_none());
        assert!(settings.headers.iter().all(|(name, _)| name != "content-length"));
    }
}

#[test]
fn a_header_of_the_module_comes_before_the_user_of_a_target() {
    let settings = with(json!({"headers": {"Authorization": "Token x"}})).unwrap();
    assert_eq!(
        settings.aimed_at("http://a:b@c/", None).unwrap().credentials,
        None
    );
    let settings = with(json!({"authorization": {"type": "", "credentials": "b"}})).unwrap();
    let Some(Credentials::Scheme { scheme, .. }) = settings.credentials else {
        panic!("{settings:?}")
    };
    assert_eq!(scheme, "Bearer");
}

#[test]
fn a_hostname_may_have_a_port_which_is_no_part_of_the_name_in_tls() {
    let settings = with(json!({})).unwrap();
    for (hostname, name) in [
        ("b:99", "b"),
        ("b", "b"),
        ("[::1]:99", "::1"),
        ("::1", "::1"),
        ("192.0.2.1:99", "192.0.2.1"),
    ] {
        let aimed = settings.aimed_at("https://c/", Some(hostname)).unwrap();
        assert_eq!(aimed.tls.server_name.unwrap().to_str(), name);
        let [(_, host)] = &aimed.headers[..] else {
            panic!("{hostname}: {:?}", aimed.headers)
        };
        assert_eq!(host.expose(), hostname);
    }
    for hostname in ["b:x", "b:99999", ":99", "a b:9", "b:", "[::1", "a:b:9"] {
        let error = settings.aimed_at("https://c/", Some(hostname)).unwrap_err();
        assert_eq!(
            error, "the parameter hostname is no DNS name and no IP address",
            "{hostname}"
        );
    }
}

#[test]
fn credentials_come_from_one_place() {
    for (options, message) in [
        (
            json!({"basic_auth": {"username": "a"}, "bearer_token": "b"}),
            "check: give one way of authentication, not several: basic_auth, bearer_token",
        ),
        (
            json!({"basic_auth": {"password": "b"}}),
            "check.basic_auth: username is missing: write username, username_file or username_env",
        ),
        (
            json!({"basic_auth": {"username": "a:b"}}),
            "check.basic_auth: a user name for basic authentication can't hold a colon (RFC 7617, section 2)",
        ),
        (
            json!({"authorization": {"type": "Basic", "credentials": "b"}}),
            "check.authorization.type: for basic authentication write basic_auth instead",
        ),
        (
            json!({"authorization": {}}),
            "check.authorization: credentials are missing: write credentials, credentials_file or credentials_env",
        ),
        (
            json!({"bearer_token": "x", "bearer_token_env": "y"}),
            "check: give one of bearer_token, bearer_token_file and bearer_token_env, not several",
        ),
        (
            json!({"bearer_token_file": "/nonexistent/t"}),
            "check.bearer_token_file: reading the secret file /nonexistent/t: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(with(options), Err(vec![message.to_owned()]));
    }
    let url = "http://user:pw@127.0.0.1/";
    let both = resolve(json!({"url": url, "bearer_token": "x"})).unwrap_err();
    assert_eq!(
        both,
        ["check: give one way of authentication, not several: user info in the url, bearer_token"]
    );
    assert!(matches!(
        resolve(json!({"url": url})).unwrap().credentials,
        Some(Credentials::Basic { .. })
    ));
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = resolve(json!({
        "url": "http://u:p@:80", "method": " ", "valid_status_codes": [1, 2], "compression": "x",
        "tls_config": {"cert": "x"}, "fail_if_body_not_matches_regexp": ["("], "basic_auth": {}, "proxy_url": "ftp://x",
    }))
    .unwrap_err();
    assert_eq!(faults.len(), 9, "{faults:#?}");
    assert_eq!(resolve(json!({})).unwrap_err().len(), 1);
}

#[test]
fn nothing_secret_is_shown() {
    let settings = resolve(json!({
        "url": "http://127.0.0.1/?key=hunter2", "headers": {"X-Key": "hunter2"}, "body": "hunter2",
        "basic_auth": {"username": "u", "password": "hunter2"}, "proxy_url": "http://u:hunter2@p:1",
        "proxy_connect_header": {"X": ["hunter2"]},
    }));
    let shown = format!("{settings:?}");
    assert!(settings.is_ok() && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_short_and_the_old_names_work() {
    let settings = with(json!({
        "no_follow_redirects": true, "bearer_token": "t", "body_size_limit": "1KB", "valid_http_versions": ["HTTP/2"],
        "preferred_ip_protocol": "ip4", "ip_protocol_fallback": false, "compression": "identity",
    }))
    .unwrap();
    assert_eq!(
        (settings.max_redirects, settings.body_size_limit),
        (None, Some(1024))
    );
    assert_eq!(settings.assertions.versions, [Version::HTTP_2]);
    assert!(
        matches!(settings.credentials, Some(Credentials::Scheme { ref scheme, .. }) if scheme == "Bearer")
    );
    assert_eq!(with(json!({"body_size_limit": 0})).unwrap().body_size_limit, None);
}
