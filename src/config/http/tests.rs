//! Tests of the options of http checks and their errors.

use std::cell::RefCell;

use http::Version;
use serde_json::{Value, json};

use super::*;
use crate::config::place::Place;
use crate::config::tests_support::resolve_json;

fn resolve(options: Value) -> Result<HttpSettings, Vec<String>> {
    resolve_json(options, |options: HttpOptions, root| {
        options.resolve(&root.field("check"))
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
fn each_error_has_its_message() {
    for (options, message) in [
        (
            json!({"method": "GE T"}),
            "check.method: \"GE T\" is not a request method: write GET, HEAD, POST, ...",
        ),
        (
            json!({"headers": {"a b": "x"}}),
            "check.headers.?: \"a b\" is not a header name",
        ),
        (
            json!({"headers": {"X": "a\nb"}}),
            "check.headers.X: the value contains characters that headers can't have, such as line breaks",
        ),
        (
            json!({"headers": {"Connection": "x"}}),
            "check.headers.Connection: the check itself sets connection: remove this header",
        ),
        (
            json!({"body": "a", "body_file": "b"}),
            "check: give one of body and body_file, not both",
        ),
        (
            json!({"body_file": "/dev/zero"}),
            "check.body_file: reading /dev/zero: not a regular file",
        ),
        (
            json!({"valid_status_codes": [200, 999, 1000]}),
            "check.valid_status_codes[2]: 1000 is not an HTTP status code: write 100 to 999",
        ),
        (
            json!({"valid_http_versions": ["1.1"]}),
            "check.valid_http_versions[0]: \"1.1\" is not supported: write HTTP/1.0, HTTP/1.1 or HTTP/2.0",
        ),
        (
            json!({"follow_redirects": true, "no_follow_redirects": true}),
            "check.no_follow_redirects: contradicts follow_redirects, which replaces this key: remove it",
        ),
        (
            json!({"follow_redirects": false, "max_redirects": 2}),
            "check.max_redirects: max_redirects needs follow_redirects: true",
        ),
        (
            json!({"max_redirects": 101}),
            "check.max_redirects: 101 is out of range: write at most 100",
        ),
        (
            json!({"fail_if_body_matches_regexp": ["ok", "a(b"]}),
            "check.fail_if_body_matches_regexp[1]: \"a(b\" is not a regular expression: unclosed group",
        ),
        (
            json!({"fail_if_header_matches": [{"header": "X", "regexp": "["}]}),
            "check.fail_if_header_matches[0].regexp: \"[\" is not a regular expression: missing closing ]: [",
        ),
        (
            json!({"fail_if_header_matches": [{"header": "X", "regexp": ""}]}),
            "check.fail_if_header_matches[0].regexp: empty, which matches everything: write an expression",
        ),
        (
            json!({"headers": {"Upgrade": "websocket"}}),
            "check.headers.Upgrade: the check itself sets upgrade: remove this header",
        ),
        (
            json!({"fail_if_header_not_matches": [{"header": "", "regexp": "x"}]}),
            "check.fail_if_header_not_matches[0].header: \"\" is not a header name",
        ),
        (
            json!({"fail_if_body_json_matches_cel": "bodi.x"}),
            "check.fail_if_body_json_matches_cel: not a CEL expression: unknown variable \"bodi\": the document is \"body\"",
        ),
        (
            json!({"compression": "zstd"}),
            "check.compression: \"zstd\" is not supported: write gzip, br, deflate or identity",
        ),
        (
            json!({"compression": "gzip", "headers": {"accept-encoding": "deflate"}}),
            "check.compression: contradicts the header Accept-Encoding \"deflate\": add gzip there, or remove the header",
        ),
        (
            json!({"compression": "gzip", "headers": {"Accept-Encoding": "*;q=0.0"}}),
            "check.compression: contradicts the header Accept-Encoding \"*;q=0.0\": add gzip there, or remove the header",
        ),
        (
            json!({"compression": "gzip", "http_headers": {"accept-encoding": {"values": ["deflate"]}}}),
            "check.compression: contradicts the header Accept-Encoding \"deflate\": add gzip there, or remove the header",
        ),
        (
            json!({"oauth2": {"client_id": "a"}}),
            "check.oauth2: token_url is missing: write the URL of the token endpoint, such as token_url: https://login.example.org/token",
        ),
        (
            json!({"oauth2": {"client_id": "a", "token_url": "http://h/t"}, "bearer_token": "b"}),
            "check: more than one way of authentication: keep one of bearer_token, oauth2",
        ),
        (
            json!({"no_proxy": "x"}),
            "check.no_proxy: no_proxy needs a proxy: add proxy_url",
        ),
        (
            json!({"proxy_url": "http://p", "proxy_from_environment": true}),
            "check: give one of proxy_url and proxy_from_environment, not both",
        ),
        (
            json!({"proxy_url": "socks4://p"}),
            "check.proxy_url: the scheme socks4 is not supported: write http://, https://, socks5:// or socks5h://",
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
fn options_without_effect_are_warnings() {
    for (options, warning) in [
        (
            json!({"fail_if_ssl": true, "fail_if_not_ssl": true}),
            "check: fail_if_ssl and fail_if_not_ssl together always fail: remove one of them",
        ),
        (
            json!({"follow_redirects": false, "no_follow_redirects": true}),
            "check.no_follow_redirects: not needed: follow_redirects replaces this key and has the same meaning",
        ),
        (
            json!({"headers": {"Content-Length": "3"}}),
            "check.headers.Content-Length: ignored: the check sets it from the request body",
        ),
        (
            json!({"valid_http_versions": ["HTTP/1.1", "HTTP/3"]}),
            "check.valid_http_versions[1]: no response has this version: HTTP/3 is not supported",
        ),
        (
            json!({"headers": {"authorization": "x"}, "authorization": {"credentials": "b"}}),
            "check: ignored because of the header Authorization: authorization",
        ),
        (
            json!({"http_headers": {"Authorization": {"secrets": ["x"]}}, "basic_auth": {"username": "b"}}),
            "check: ignored because of the header Authorization: basic_auth",
        ),
    ] {
        let findings = RefCell::default();
        let mut options: HttpOptions = serde_json::from_value(options).unwrap();
        options.url = Some("http://127.0.0.1/".to_owned());
        let settings = options.resolve(&Place::root(&findings).field("check")).unwrap();
        let found: Vec<_> = findings.take();
        let [only] = &found[..] else { panic!("{found:?}") };
        assert_eq!(format!("{}: {}", only.path, only.message), warning);
        assert!(!only.is_error);
        assert!(settings.credentials.is_none());
        assert!(settings.headers.iter().all(|(name, _)| name != "content-length"));
    }
}

#[test]
fn a_header_of_the_module_overrides_the_user_info_of_a_target() {
    let settings = with(json!({"headers": {"Authorization": "Token x"}})).unwrap();
    assert_eq!(settings.with_target("http://a:b@c/").unwrap().credentials, None);
    let settings = with(json!({"authorization": {"type": "", "credentials": "b"}})).unwrap();
    let Some(Credentials::Scheme { scheme, .. }) = settings.credentials else {
        panic!("{settings:?}")
    };
    assert_eq!(scheme, "Bearer");
}

#[test]
fn the_port_of_a_hostname_is_not_part_of_the_tls_server_name() {
    let settings = with(json!({})).unwrap();
    for (hostname, name) in [
        ("b:99", "b"),
        ("b", "b"),
        ("[::1]:99", "::1"),
        ("::1", "::1"),
        ("192.0.2.1:99", "192.0.2.1"),
    ] {
        let mut targeted = settings.with_target("https://c/").unwrap();
        targeted.set_hostname(hostname).unwrap();
        assert_eq!(targeted.tls.server_name.unwrap().to_str(), name);
        let [(_, host)] = &targeted.headers[..] else {
            panic!("{hostname}: {:?}", targeted.headers)
        };
        assert_eq!(host.expose(), hostname);
    }
    for hostname in ["b:x", "b:99999", ":99", "a b:9", "b:", "[::1", "a:b:9"] {
        let mut targeted = settings.with_target("https://c/").unwrap();
        let error = targeted.set_hostname(hostname).unwrap_err();
        assert_eq!(
            error, "the parameter hostname is neither a DNS name nor an IP address",
            "{hostname}"
        );
    }
}

#[test]
fn credentials_can_be_given_once() {
    for (options, message) in [
        (
            json!({"basic_auth": {"username": "a"}, "bearer_token": "b"}),
            "check: more than one way of authentication: keep one of basic_auth, bearer_token",
        ),
        (
            json!({"basic_auth": {"password": "b"}}),
            "check.basic_auth: username is missing: write username, username_file or username_env",
        ),
        (
            json!({"basic_auth": {"username": "a:b"}}),
            "check.basic_auth: the user name contains a colon, which basic authentication does not allow (RFC 7617, section 2)",
        ),
        (
            json!({"authorization": {"type": "Basic", "credentials": "b"}}),
            "check.authorization.type: basic is not supported here: use basic_auth",
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
            json!({"bearer_token_file": "/dev/null"}),
            "check.bearer_token_file: reading the secret file /dev/null: not a regular file",
        ),
    ] {
        assert_eq!(with(options), Err(vec![message.to_owned()]));
    }
    let url = "http://user:pw@127.0.0.1/";
    let both = resolve(json!({"url": url, "bearer_token": "x"})).unwrap_err();
    assert_eq!(
        both,
        ["check: more than one way of authentication: keep one of user info in the url, bearer_token"]
    );
    assert!(matches!(
        resolve(json!({"url": url})).unwrap().credentials,
        Some(Credentials::Basic { .. })
    ));
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(json!({
        "url": "http://u:p@:80", "method": " ", "valid_status_codes": [1, 2], "compression": "x",
        "tls_config": {"cert": "x"}, "fail_if_body_not_matches_regexp": ["("], "basic_auth": {}, "proxy_url": "ftp://x",
    }))
    .unwrap_err();
    assert_eq!(errors.len(), 9, "{errors:#?}");
    assert_eq!(resolve(json!({})).unwrap_err().len(), 1);
}

#[test]
fn debug_output_has_no_secrets() {
    let settings = resolve(json!({
        "url": "http://127.0.0.1/?key=hunter2", "headers": {"X-Key": "hunter2"}, "body": "hunter2",
        "basic_auth": {"username": "u", "password": "hunter2"}, "proxy_url": "http://u:hunter2@p:1",
        "proxy_connect_header": {"X": ["hunter2"]},
    }));
    let shown = format!("{settings:?}");
    assert!(settings.is_ok() && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn short_and_deprecated_options_work() {
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
