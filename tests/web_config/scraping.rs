//! A real Prometheus that scrapes over TLS as a user, with a client certificate.

use std::process::Command;
use std::time::Duration;

use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::guarded::{Guarded, TLS, hash};

#[tokio::test]
async fn prometheus_scrapes_over_tls_as_a_user_with_a_certificate() {
    let mut guarded = Guarded::prepare(&format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: \
         [prometheus.example.org]\nbasic_auth_users:\n  prometheus: {}\n",
        hash("scrape", 8)
    ));
    let client = guarded.authority.issue(&["prometheus.example.org"], 2099);
    guarded.write_identity("client", &client);
    guarded.write("password", "scrape");
    guarded.launch().await;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: upkeep\n  scheme: https\n  \
         basic_auth: {{username: prometheus, password_file: password}}\n  tls_config: {{ca_file: ca.crt, cert_file: \
         client.crt, key_file: client.key, server_name: localhost}}\n  static_configs: [{{targets: \
         ['127.0.0.1:{0}']}}]\n- job_name: nobody\n  scheme: https\n  tls_config: {{ca_file: ca.crt, cert_file: \
         client.crt, key_file: client.key, server_name: localhost}}\n  static_configs: [{{targets: \
         ['127.0.0.1:{0}']}}]\n",
        guarded.port
    );
    guarded.write("prometheus.yml", &config);
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(tool("prometheus", "prometheus"));
    command
        .arg(format!(
            "--config.file={}",
            guarded.path("prometheus.yml").display()
        ))
        .arg(format!("--storage.tsdb.path={}", guarded.path("data").display()))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Server::start("prometheus", command, guarded.dir.path());
    let query = |query: &str| {
        let url = format!("http://{address}/api/v1/query");
        url::Url::parse_with_params(&url, [("query", query)])
            .unwrap()
            .to_string()
    };
    // Several scrapes, so that the connection is reused.
    let url =
        query("count_over_time(upkeep_build_info{job='upkeep'}[1m]) >= 4 and on() up{job='nobody'} == 0");
    eventually("scrapes", Duration::from_secs(60), || async {
        get(&url).await.filter(|text| text.contains("\"metric\""))
    })
    .await;
    let failed = get(&query("min_over_time(up{job='upkeep'}[1m]) == 0"))
        .await
        .unwrap();
    assert!(
        !failed.contains("\"metric\""),
        "{failed}\n{}\n{}",
        prometheus.log(),
        guarded.log()
    );
    let targets = get(&format!("http://{address}/api/v1/targets")).await.unwrap();
    assert!(targets.contains("server returned HTTP status 401"), "{targets}");
}
