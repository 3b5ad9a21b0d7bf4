//! Requests to `/probe` that are wrong, and configurations that change under it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::exporter::Exporter;
use crate::common::targets::{Target, ok};
use crate::{ALLOW_LOOPBACK, ask, exposition, path, probe};

#[tokio::test]
async fn a_faulty_request_gets_a_4xx_with_its_error() {
    let config = format!(
        "modules: {{ http_2xx: {{ prober: http }}, tcp: {{ prober: tcp }}, typo: {{ prober: htpp }} }}\n{ALLOW_LOOPBACK}"
    );
    let exporter = Exporter::start(&config, &[]).await;
    for (query, part) in [
        ("", "target is missing"),
        ("?module=http_2xx", "target is missing"),
        ("?target=127.0.0.1&module=http_2x", "did you mean http_2xx?"),
        (
            "?target=127.0.0.1&module=typo",
            "unknown prober htpp: did you mean http?",
        ),
        ("?target=%zz", "hexadecimal"),
        ("?target=%ff", "UTF-8"),
        ("?target=http://127.0.0.1&hostname=a%20b", "hostname"),
    ] {
        let (status, answer) = ask(&exporter.url(&format!("/probe{query}")), &[]).await;
        assert_eq!(status, 400, "{query}: {answer}");
        assert!(answer.contains(part), "{query}: {answer}");
    }
    let url = exporter.url("/probe?target=http://127.0.0.1:1/");
    for value in ["x", "-1", "nan"] {
        let (status, answer) = ask(&url, &[("X-Prometheus-Scrape-Timeout-Seconds", value)]).await;
        assert_eq!(status, 400, "{value}: {answer}");
        assert!(answer.contains("number of seconds"), "{answer}");
    }
    // A password in a target is in no answer.
    let (_, answer) = ask(
        &exporter.url("/probe?target=http://me:hunter2@127.0.0.1:1/&debug=true"),
        &[],
    )
    .await;
    assert!(
        answer.contains("failed") && !answer.contains("hunter2"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_target_that_cannot_be_probed_is_a_failed_probe_with_its_reason() {
    let config = format!(
        "modules: {{ http_2xx: {{ prober: http }}, tcp: {{ prober: tcp }}, unix: {{ prober: unix }} }}\n{ALLOW_LOOPBACK}"
    );
    let exporter = Exporter::start(&config, &[]).await;
    for (query, part) in [
        ("target=ftp://127.0.0.1/", "write http:// or https://"),
        ("target=127.0.0.1&module=tcp", "has no port"),
        ("target=http://a%20b/", "not a URL"),
        ("target=%20http://127.0.0.1/", "begins with a space"),
        ("target=a%0d%0ab", "control character"),
        ("target=run.sock&module=unix", "absolute path"),
    ] {
        let (status, answer) = ask(&exporter.url(&format!("/probe?{query}")), &[]).await;
        assert_eq!(status, 200, "{query}: {answer}");
        assert_eq!(
            exposition::series(&answer)["probe_success"],
            0.0,
            "{query}: {answer}"
        );
        let (_, answer) = ask(&exporter.url(&format!("/probe?{query}&debug=true")), &[]).await;
        assert!(
            answer.contains("The probe failed: protocol: can't probe the target: "),
            "{answer}"
        );
        assert!(answer.contains(part), "{query}: {answer}");
    }
    assert_eq!(exporter.value("upkeep_probe_failures_total").await, Some(12.0));
}

#[tokio::test]
async fn binary_data_is_sent_and_expected_byte_for_byte() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let config = format!(
        "modules:
  tagged: {{ prober: tcp, tcp: {{ query_response: [{{ send: !!binary AAAACATSFi8= }}, {{ expect_bytes: S }}] }} }}
  escaped: {{ prober: tcp, tcp: {{ query_response: [{{ send: \"\\0\\0\\0\\x08\\x04\\xd2\\x16\\x2f\" }}, {{ expect_bytes: \"S\" }}] }} }}
{ALLOW_LOOPBACK}"
    );
    let exporter = Exporter::start(&config, &[]).await;
    for module in ["tagged", "escaped"] {
        let target = address.to_string();
        let probed = probe(&exporter, module, &target);
        let served = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = [0; 9];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(b"S").await.unwrap();
            request
        };
        let ((status, answer), request) = tokio::join!(probed, served);
        assert_eq!(&request, b"\0\0\0\x08\x04\xd2\x16\x2f\n", "{module}");
        assert_eq!(
            (status, exposition::series(&answer)["probe_success"]),
            (200, 1.0),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_first_of_repeated_parameters_counts() {
    let target = Target::answering(ok("fine")).await;
    let config = format!("modules: {{ web: {{ prober: http }} }}\n{ALLOW_LOOPBACK}");
    let exporter = Exporter::start(&config, &[]).await;
    let path = format!("{}&module=nothing&target=ftp://x", path("web", &target.url("/")));
    let (status, answer) = ask(&exporter.url(&path), &[]).await;
    assert_eq!(
        (status, exposition::series(&answer)["probe_success"]),
        (200, 1.0),
        "{answer}"
    );
}

#[tokio::test]
async fn probe_needs_modules_and_a_reload_adds_and_removes_them() {
    let target = Target::answering(ok("fine")).await;
    let services = format!("services: [{{ key: a, port: {} }}]\n", target.address.port());
    let exporter = Exporter::start(&services, &["--web.enable-lifecycle"]).await;
    let (status, answer) = probe(&exporter, "http_2xx", &target.url("/")).await;
    assert_eq!(status, 404, "{answer}");
    assert!(!exporter.metrics().await.contains("upkeep_probe"));
    let reload = || async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(exporter.url("/-/reload")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    let modules = format!("{services}modules: {{ http_2xx: {{ prober: http }} }}\n{ALLOW_LOOPBACK}");
    std::fs::write(exporter.config(), modules).unwrap();
    reload().await;
    let (status, answer) = probe(&exporter, "http_2xx", &target.url("/")).await;
    assert_eq!((status, exposition::series(&answer)["probe_success"]), (200, 1.0));
    assert_eq!(exporter.value("upkeep_probe_requests_total").await, Some(1.0));
    std::fs::write(exporter.config(), &services).unwrap();
    reload().await;
    assert_eq!(probe(&exporter, "http_2xx", &target.url("/")).await.0, 404);
}

#[tokio::test]
async fn debugging_shows_the_steps_the_metrics_and_the_module_without_its_secrets() {
    let target = Target::answering(ok("fine")).await;
    let config = format!(
        "modules: {{ http_2xx: {{ prober: http, http: {{ basic_auth: {{ username: me, password: hunter2 }}, fail_if_body_not_matches_regexp: [FINE] }} }} }}\n{ALLOW_LOOPBACK}"
    );
    let exporter = Exporter::start(&config, &[]).await;
    let (status, answer) = ask(
        &exporter.url(&format!("{}&debug=true", path("http_2xx", &target.url("/")))),
        &[],
    )
    .await;
    assert_eq!(status, 200);
    for part in [
        "connecting to 127.0.0.1",
        "waiting for the response",
        "The probe failed: assertion: the body does not match \"FINE\"",
        "probe_failed_due_to_regex 1",
        "username: me",
        "password: <secret>",
    ] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
    assert!(!answer.contains("hunter2"));
    assert!(
        target.received()[0]
            .to_ascii_lowercase()
            .contains("authorization: basic")
    );
}
