//! Tests of the options of postgres checks and their errors.

use serde_json::{Value, json};

use super::*;
use crate::config::secret::Secret;
use crate::config::tests_support::resolve_json;
use crate::config::tls::TlsSettings;

/// Resolves options, and asserts that nothing shows the secret `hunter2`.
fn resolve(options: Value) -> Result<PostgresSettings, Vec<String>> {
    let resolved = resolve_json(options, |options: PostgresOptions, root| {
        assert!(!format!("{options:?}").contains("hunter2"));
        options.resolve(root)
    });
    match &resolved {
        Ok(settings) => assert!(!format!("{settings:?} {}", settings.target()).contains("hunter2")),
        Err(errors) => assert!(!errors.join("|").contains("hunter2"), "{errors:?}"),
    }
    resolved
}

fn url(text: &str) -> Result<LibpqUrl, String> {
    resolve(json!({ "url": text }))
        .map(|settings| settings.url)
        .map_err(|mut errors| errors.remove(0))
}

#[test]
fn a_url_suffices() {
    let settings = resolve(json!({"url": "postgres://app:hunter2@db/app"})).unwrap();
    assert_eq!(settings.target(), "postgres://db:5432/app");
    assert_eq!(
        settings.password,
        Some(SecretSource::Inline(Secret::new("hunter2")))
    );
    assert_eq!(settings.url.user, "app");
    assert_eq!(settings.url.ssl_mode, SslMode::Prefer);
    assert_eq!(settings.url.application_name, "upkeep_exporter");
    assert_eq!(settings.url.session, SessionAttributes::Any);
    assert!(settings.url.tls.insecure_skip_verify);
    assert_eq!(settings.query, None);
    assert!(settings.reuse_connection);
    let statistics = StatisticsSettings {
        max_replication_lag: None,
        max_connection_share: 0.9,
    };
    assert_eq!(settings.statistics, Some(statistics));
}

#[test]
fn every_form_of_libpq_urls_is_supported() {
    for (text, target) in [
        ("postgresql://app@db", "postgres://db:5432"),
        ("postgres://app@db/", "postgres://db:5432"),
        ("postgres://app@[::1]:5433/a%2Fb", "postgres://[::1]:5433/a/b"),
        ("postgres://db?user=app&dbname=x&port=1", "postgres://db:1/x"),
        ("postgres://app@%2Frun%2Fpg/x", "postgres://%2Frun%2Fpg:5432/x"),
        (
            "postgres://app@%2Frun%2Fpg:5433/x",
            "postgres://%2Frun%2Fpg:5433/x",
        ),
        ("postgres://app@/x?host=/run/pg", "postgres://%2Frun%2Fpg:5432/x"),
        (
            "postgres:///x?user=app&host=/run/pg&port=5433",
            "postgres://%2Frun%2Fpg:5433/x",
        ),
        ("postgres://app@:5433/x?host=db", "postgres://db:5433/x"),
        ("postgres://app@other/x?host=db", "postgres://db:5432/x"),
    ] {
        let parsed = url(text).unwrap();
        assert_eq!(parsed.to_string(), target, "{text}");
        assert_eq!(parsed.user, "app", "{text}");
    }
    let all = url(
        "postgres://u@db/x?application_name=a+b&options=-c%20search_path=s&target_session_attrs=read-write&sslmode=disable",
    );
    let all = all.unwrap();
    assert_eq!(all.application_name, "a+b");
    assert_eq!(all.options.as_deref(), Some("-c search_path=s"));
    assert_eq!(all.session, SessionAttributes::ReadWrite);
    assert_eq!(all.ssl_mode, SslMode::Disable);
    let settings = resolve(json!({"url": "postgres://app@db/x?password=a+hunter2%25"})).unwrap();
    assert_eq!(
        settings.password,
        Some(SecretSource::Inline(Secret::new("a+hunter2%")))
    );
}

#[test]
fn sslmodes_verify_as_much_as_in_libpq() {
    let ca = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    std::fs::write(ca.path(), certificate.pem()).unwrap();
    let key_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key_file.path(), key.serialize_pem()).unwrap();
    let (path, key_path) = (ca.path().display(), key_file.path().display());
    let with = |options: &str| url(&format!("postgres://u@db/x?{options}"));
    for (options, mode, skips, chain_only) in [
        ("sslmode=allow", SslMode::Allow, true, true),
        ("sslmode=prefer", SslMode::Prefer, true, true),
        ("sslmode=require", SslMode::Require, true, true),
        ("sslmode=require&sslrootcert=CA", SslMode::Require, false, true),
        ("sslmode=verify-ca&sslrootcert=CA", SslMode::Require, false, true),
        (
            "sslmode=verify-full&sslrootcert=CA",
            SslMode::Require,
            false,
            false,
        ),
        (
            "sslmode=verify-full&sslrootcert=system",
            SslMode::Require,
            false,
            false,
        ),
        ("sslmode=verify-full", SslMode::Require, false, false),
    ] {
        let found = with(&options.replace("CA", &path.to_string())).unwrap();
        assert_eq!(found.ssl_mode, mode, "{options}");
        let verifies = (found.tls.insecure_skip_verify, found.tls.chain_only);
        assert_eq!(verifies, (skips, chain_only), "{options}");
        assert_eq!(found.tls.ca.is_some(), options.ends_with("CA"), "{options}");
    }
    assert_eq!(with("sslmode=verify-full").unwrap().tls, TlsSettings::default());
    let client = with(&format!("sslcert={path}&sslkey={key_path}"))
        .unwrap()
        .tls
        .client;
    assert!(client.is_some());
    for (options, message) in [
        (
            "sslmode=verify-ca".to_owned(),
            "url: sslmode=verify-ca needs an authority to trust: add sslrootcert, or write verify-full",
        ),
        (
            "sslrootcert=system".to_owned(),
            "url: sslrootcert=system needs sslmode=verify-full: any server can have a certificate of these authorities",
        ),
        (
            "sslrootcert=/dev/null".to_owned(),
            "url: sslrootcert: reading /dev/null: not a regular file",
        ),
        (
            format!("sslcert={path}"),
            "url: sslcert needs its private key: add sslkey",
        ),
        (
            format!("sslkey={path}"),
            "url: sslkey needs its certificate: add sslcert",
        ),
        (
            format!("sslcert={path}&sslkey={path}"),
            "url: sslkey: the private key is not in PEM format: write PKCS#8, PKCS#1 or SEC1 without a passphrase",
        ),
        (
            "sslmode=verify_full".to_owned(),
            "url: unknown sslmode verify_full: did you mean verify-full?",
        ),
    ] {
        assert_eq!(with(&options), Err(message.to_owned()), "{options}");
    }
}

#[test]
fn errors_of_a_url_do_not_show_its_secrets() {
    let example = "write a URL such as postgres://app@db:5432/app?sslmode=require";
    for (text, message) in [
        ("hunter2", format!("not a URL (relative URL without a base): {example}")),
        (
            "mysql://u:hunter2@db",
            format!("the scheme of the URL is not postgres:// or postgresql://: {example}"),
        ),
        ("postgres://db/x", format!("the URL has no user: {example}")),
        (
            "postgres://u:hunter2@/x",
            format!("the URL has no host: {example}, or postgres://app@/app?host=/run/postgresql for a Unix socket"),
        ),
        (
            "postgres://u:hunter2@a,b:1/x",
            "the URL has several hosts: write one check per server".to_owned(),
        ),
        (
            "postgres://u@/x?host=a,b",
            "the URL has several hosts: write one check per server".to_owned(),
        ),
        ("postgres://u@db?port=0", "the port is not valid: write 1 to 65535".to_owned()),
        (
            "postgres://u@db?sslmod=hunter2",
            "unknown option sslmod: did you mean sslmode?".to_owned(),
        ),
        (
            "postgres://u@db?hostaddr=1.2.3.4",
            "the option hostaddr is not supported: write the address as the host".to_owned(),
        ),
        (
            "postgres://u@db?sslmode=require&sslmode=disable",
            "duplicate option sslmode: remove it".to_owned(),
        ),
        (
            "postgres://u@db?target_session_attrs=master",
            "unknown target_session_attrs master: write one of any, prefer-standby, primary, read-only, read-write, standby"
                .to_owned(),
        ),
        ("postgres://u%00@db", "the URL contains a zero byte (%00): remove it".to_owned()),
    ] {
        assert_eq!(url(text), Err(format!("url: {message}")), "{text}");
    }
    let twice = resolve(json!({"url": "postgres://u:hunter2@db", "password": "hunter2"}));
    assert_eq!(
        twice,
        Err(vec![
            "url: the password is given twice: remove it from the URL".to_owned()
        ])
    );
}

#[test]
fn invalid_options_are_reported() {
    let with = |extra: Value| {
        let mut options = json!({"url": "postgres://u@db"});
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        resolve(options).map_err(|errors| errors.join("|"))
    };
    for (extra, message) in [
        (
            json!({"query": " ; "}),
            "query: empty: write a statement, or remove this key to run SELECT 1",
        ),
        (
            json!({"query": "SELECT 1; COMMIT"}),
            "query: more than one statement: remove the text after the semicolon (write chr(59) for a semicolon in a string)",
        ),
        (
            json!({"query": "SELECT '\u{0}'"}),
            "query: contains a zero byte: remove it",
        ),
        (
            json!({"query": "x".repeat(20_000)}),
            "query: 20000 bytes long: write at most 16384, or create a view",
        ),
        (
            json!({"expect": "1"}),
            "expect: expect needs query: add query, or remove this key",
        ),
        (
            json!({"statement_timeout": "1s"}),
            "statement_timeout: statement_timeout needs query: add query, or remove this key",
        ),
        (
            json!({"query": "SELECT 1", "statement_timeout": "0"}),
            "statement_timeout: 0s is out of range: write 1ms to 1h",
        ),
        (
            json!({"metrics": false, "max_replication_lag": "1s"}),
            "max_replication_lag: max_replication_lag needs statistics: remove this key, or metrics: false",
        ),
        (
            json!({"max_connection_share": 90}),
            "max_connection_share: 90 is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %",
        ),
        (
            json!({"max_replication_lag": "0s"}),
            "max_replication_lag: 0s is out of range: write a longer duration, such as 10s",
        ),
    ] {
        assert_eq!(with(extra.clone()), Err(message.to_owned()), "{extra}");
    }
    assert_eq!(
        resolve(json!({})),
        Err(vec![
            ": url is missing: write the URL of the database, such as url: postgres://app@db:5432/app?sslmode=require"
                .to_owned()
        ])
    );
    let query = with(json!({"query": " SELECT 1 ;\n", "expect": "1"}))
        .unwrap()
        .query
        .unwrap();
    assert_eq!(
        (query.statement.as_str(), query.expect.as_deref()),
        ("SELECT 1", Some("1"))
    );
    assert_eq!(query.timeout, Duration::from_secs(5));
    assert_eq!(with(json!({"metrics": false})).unwrap().statistics, None);
}
