//! Neither Debug output nor errors show secrets.

use std::fs;

use upkeep_exporter::config::{KindSettings, parse};

const SECRET: &str = "hunter2";

/// A service with one http check with these additional lines.
fn with(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "services:\n  - key: api\n    checks:\n      - kind: http\n        url: http://127.0.0.1/\n{indented}"
    )
}

#[test]
fn debug_does_not_show_an_inline_secret() {
    for lines in [
        "basic_auth: { username: me, password: hunter2 }",
        "bearer_token: hunter2",
        "authorization: { credentials: hunter2 }",
        "headers: { X-Api-Key: hunter2 }",
        "body: hunter2",
    ] {
        let loaded = parse(&with(lines), "a.yml").unwrap_or_else(|error| panic!("{error}"));
        let shown = format!("{loaded:?}{loaded:#?}");
        assert!(!shown.contains(SECRET), "{lines}: {shown}");
        assert!(!loaded.config.services[0].checks[0].kind.target().contains(SECRET));
    }
    let text = "services: [{ key: api, url: \"http://me:hunter2@127.0.0.1/?token=hunter2#hunter2\" }]";
    let loaded = parse(text, "a.yml").unwrap();
    assert!(!loaded.config.services[0].checks[0].kind.target().contains(SECRET));
    assert!(!format!("{loaded:?}").contains("me:hunter2"));
}

#[test]
fn errors_do_not_quote_a_secret() {
    for lines in [
        "basic_auth: { username: me, password: [hunter2] }",
        "basic_auth: { username: me, password: { hunter2: x } }",
        "basic_auth: { username: me, passwrod: hunter2 }",
        "basic_auth: { username: me, password: hunter2, password_env: HOME }",
        "basic_auth: \"me:hunter2\"",
        "basic_auth: me:hunter2",
        "basic_auth: { \"password hunter2\" }",
        "basic_auth: [hunter2]",
        "bearer_token: hunter2\nbearer_token_file: /nonexistent",
        "bearer_token: hunter2\nbasic_auth: { username: me, password: hunter2 }",
        "authorization: { type: Basic, credentials: \"hun\\nhunter2\" }",
        "authorization: { type: hunter2 x, credentials: \"hunter2\" }",
        "headers: { Authorization: [hunter2] }",
        "headers: { Authorization: \"a\\nhunter2\" }",
        "headers: \"Authorization: hunter2\"",
        "valid_status_codes: hunter2",
        "enable_http2: hunter2",
        "preferred_ip_protocol: \"hunter2 \"",
        "password: \"hunter2\"",
        "password hunter2: x",
        "proxy_url: \"http://me:hunter2@[\"",
        "proxy_url: \"ftp://me:hunter2@proxy/\"",
        "tls_config: { key: hunter2 }",
        "tls_config: { key: hunter2, cert: hunter2 }",
        "bearer_token: \"hunter2\n",
        "bearer_token: hunter2: x",
    ] {
        let error = parse(&with(lines), "a.yml").expect_err(lines).to_string();
        assert!(!error.contains(SECRET), "{lines}: {error}");
    }
    for url in [
        "http://me:hunter2@[::1",
        "ftp://me:hunter2@127.0.0.1/",
        "http://:hunter2@/",
    ] {
        let error = parse(&format!("services: [{{ key: api, url: \"{url}\" }}]"), "a.yml")
            .expect_err(url)
            .to_string();
        assert!(!error.contains(SECRET), "{url}: {error}");
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_is_a_warning_at_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let text = with(&format!(
        "basic_auth: {{ username: me, password_file: {} }}",
        file.display()
    ));
    let warnings = parse(&text, "a.yml").unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].path, "services[0].checks[0].basic_auth.password_file");
    assert!(
        warnings[0]
            .message
            .ends_with("No such file or directory (os error 2); every run fails until it can be read"),
        "{warnings:?}"
    );
    fs::write(&file, "hunter2\n").unwrap();
    let loaded = parse(&text, "a.yml").unwrap();
    assert!(!format!("{loaded:?}").contains(SECRET));
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let error = parse(&text, "a.yml").unwrap_err();
    assert!(error.errors[0].message.ends_with("not a regular file"), "{error}");
}

#[test]
fn a_variable_that_is_not_set_is_an_error_at_its_key() {
    let text = with("bearer_token_env: UPKEEP_TEST_NOT_SET");
    let error = parse(&text, "a.yml").unwrap_err();
    assert_eq!(error.errors[0].path, "services[0].checks[0].bearer_token_env");
    let loaded = parse(&with("bearer_token_env: PATH"), "a.yml").unwrap();
    assert!(matches!(
        loaded.config.services[0].checks[0].kind,
        KindSettings::Http(_)
    ));
}

#[test]
fn a_secret_that_is_not_valid_in_a_header_is_an_error_at_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, "hunter2\nhunter2\n").unwrap();
    let of_file = |key: &str| format!("{key}_file: {}", file.display());
    for (lines, path) in [
        ("bearer_token: \"hunter2\\n\"".to_owned(), "bearer_token"),
        ("bearer_token: \"hunter2\\x00\"".to_owned(), "bearer_token"),
        (of_file("bearer_token"), "bearer_token_file"),
        (
            "authorization: { credentials: \"a\\r\\nhunter2: x\" }".to_owned(),
            "authorization.credentials",
        ),
        (
            format!("authorization: {{ {} }}", of_file("credentials")),
            "authorization.credentials_file",
        ),
        (
            "basic_auth: { username: \"hunter2\\t\", password: x }".to_owned(),
            "basic_auth.username",
        ),
        (
            format!("basic_auth: {{ username: x, {} }}", of_file("password")),
            "basic_auth.password_file",
        ),
        ("headers: { X-Key: \"a\\nhunter2\" }".to_owned(), "headers.X-Key"),
        (
            "proxy_url: http://a/\nproxy_connect_header: { X-Key: [\"a\\nhunter2\"] }".to_owned(),
            "proxy_connect_header.X-Key",
        ),
        ("proxy_url: \"http://x:hunter2%0A@a/\"".to_owned(), "proxy_url"),
    ] {
        let error = parse(&with(&lines), "a.yml").expect_err(&lines);
        assert_eq!(error.errors.len(), 1, "{error}");
        assert_eq!(error.errors[0].path, format!("services[0].checks[0].{path}"));
        assert!(error.errors[0].message.contains("line break"), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}
