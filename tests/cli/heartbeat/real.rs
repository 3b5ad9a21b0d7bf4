//! Jobs that report to a real exporter.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{LONG, Stage, TOKEN, wait_for_file};
use crate::common::servers::{Server, eventually, free_port, get};
use crate::common::targets::tls::Authority;
use crate::{ends_with, errors, out, upkeep};

/// An exporter with a check of the job, and with a state directory.
struct Exporter {
    stage: Stage,
    port: u16,
    flags: Vec<String>,
    server: Option<Server>,
}

impl Exporter {
    fn new(schedule: &str) -> Self {
        let stage = Stage::new();
        let config = format!(
            "defaults: {{ interval: 1s }}\nservices:\n  - key: backup\n    checks:\n      \
             - {{ kind: heartbeat, token_file: '{}', {schedule} }}\n",
            stage.path("token").display()
        );
        fs::write(stage.path("upkeep.yml"), config).unwrap();
        Self {
            stage,
            port: free_port(),
            flags: Vec::new(),
            server: None,
        }
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg(format!(
                "--config.file={}",
                self.stage.path("upkeep.yml").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg(format!("--state.dir={}", self.stage.path("state").display()))
            .arg("--control.socket=")
            .args(&self.flags);
        self.server = Some(Server::start("exporter", command, self.stage.dir.path()));
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn log(&self) -> String {
        self.server.as_ref().map_or_else(String::new, Server::log)
    }

    /// Waits until the metrics contain a line that starts and ends with these texts.
    async fn shows(&self, start: &str, end: &str) {
        let what = format!("{start} {end}\n{}", self.log());
        eventually(&what, LONG, || async {
            let metrics = get(&self.url("/metrics")).await?;
            let mut lines = metrics.lines();
            lines
                .any(|line| line.starts_with(start) && line.ends_with(end))
                .then_some(())
        })
        .await;
    }

    /// Asserts that the token is neither in the log nor in the state directory.
    fn assert_secret(&self) {
        assert!(!self.log().contains(TOKEN), "{}", self.log());
        for entry in fs::read_dir(self.stage.path("state")).unwrap().flatten() {
            let text = fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains(TOKEN), "{}", entry.path().display());
        }
    }
}

/// The exporter is killed while the job runs, and restarts after its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_although_the_exporter_is_killed() {
    let mut exporter = Exporter::new("every: 1h");
    exporter.start();
    eventually("the first round", LONG, || {
        let url = exporter.url("/-/ready");
        async move { get(&url).await }
    })
    .await;
    let job = "echo >\"$1/started\"; until [ -e \"$1/finish\" ]; do sleep 0.05; done; echo saved; echo >\"$1/ended\"";
    let child = exporter
        .stage
        .shell(&exporter.url(""), &["--output=tail", "--rid=run-1"], job)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_file(&exporter.stage.path("started"));
    exporter
        .shows("upkeep_heartbeat_state{", "state=\"running\"} 1")
        .await;
    // The state is saved within a second.
    let saved = exporter.stage.path("state").join("heartbeats.json");
    eventually("the saved start", LONG, || async {
        fs::read_to_string(&saved).ok()?.contains("run-1").then_some(())
    })
    .await;
    exporter.server.take().unwrap().kill();
    fs::write(exporter.stage.path("finish"), "").unwrap();
    wait_for_file(&exporter.stage.path("ended"));
    exporter.start();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    ends_with(0, &output);
    assert_eq!(errors(&output), "");
    exporter.shows("upkeep_heartbeat_state{", "state=\"up\"} 1").await;
    exporter.shows("upkeep_heartbeat_run_duration_seconds{", "").await;
    exporter.assert_secret();
}

/// The token is enough: a heartbeat needs no user.
#[tokio::test(flavor = "multi_thread")]
async fn tls_works_and_no_user_is_needed() {
    let mut exporter = Exporter::new("every: 1h");
    let authority = Authority::new("ours");
    let identity = authority.issue(&["localhost"], 2100);
    let path = |name: &str| exporter.stage.path(name).into_os_string().into_string().unwrap();
    fs::write(path("ca.pem"), authority.pem()).unwrap();
    fs::write(path("cert.pem"), &identity.certificate).unwrap();
    fs::write(path("key.pem"), &identity.key).unwrap();
    let web = format!(
        "tls_server_config: {{ cert_file: cert.pem, key_file: key.pem }}\nbasic_auth_users: {{ ali: {} }}\n",
        bcrypt::hash("sesame", 4).unwrap()
    );
    fs::write(path("web.yml"), web).unwrap();
    let (ca, web) = (path("ca.pem"), path("web.yml"));
    exporter.flags = vec![format!("--web.config.file={web}")];
    exporter.start();
    let url = format!("https://localhost:{}", exporter.port);
    let stage = &exporter.stage;
    let job = stage
        .shell(
            &url,
            &["--output=tail", "--ca-file", &ca],
            "echo the disk is full; exit 3",
        )
        .output();
    let job = job.unwrap();
    ends_with(3, &job);
    assert_eq!(errors(&job), "");
    let shown = eventually("the status", LONG, || async {
        let output = upkeep(&[
            "status",
            "-o",
            "json",
            "--url",
            &url,
            "--ca-file",
            &ca,
            "--user=ali",
            "--password-env=P",
        ])
        .env("P", "sesame")
        .output()
        .unwrap();
        let status: Value = serde_json::from_str(out(&output)).ok()?;
        let check = status["services"][0]["checks"][0].clone();
        (check["status"] == "down").then_some(check)
    })
    .await;
    assert_eq!(shown["reason"], "status", "{shown}");
    let message = shown["message"].as_str().unwrap();
    assert!(
        message.contains('3') && message.contains("the disk is full"),
        "{message}"
    );
    exporter.assert_secret();
}

/// More heartbeats than the exporter accepts at once: each is retried until it is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_above_the_limit_are_retried() {
    let mut exporter = Exporter::new("every: 1h");
    exporter.start();
    eventually("the first round", LONG, || {
        let url = exporter.url("/-/ready");
        async move { get(&url).await }
    })
    .await;
    let url = exporter.url("");
    let limited = eventually("a limited heartbeat", LONG, || async {
        let response = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .build()
            .unwrap();
        let path = format!("{url}/api/heartbeat/{TOKEN}/start");
        let response = response.post(path).send().await.unwrap();
        (response.status() == 429).then_some(response)
    })
    .await;
    assert!(limited.headers().contains_key("retry-after"), "{limited:?}");
    let children: Vec<_> = (0..3)
        .map(|_| {
            upkeep(&["heartbeat", "send", "--url", &url, "--token-file"])
                .arg(exporter.stage.path("token"))
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        ends_with(0, &output);
        assert_eq!(errors(&output), "");
    }
    exporter
        .shows("upkeep_heartbeat_beats_total{", "type=\"success\"} 3")
        .await;
    // A wrong token is permanent.
    fs::write(exporter.stage.path("token2"), "another-token-0123456789\n").unwrap();
    let wrong = upkeep(&["heartbeat", "send", "--url", &url, "--token-file"])
        .arg(exporter.stage.path("token2"))
        .output()
        .unwrap();
    ends_with(1, &wrong);
    assert!(
        errors(&wrong).contains("it responded with 404 Not Found: no check has this token"),
        "{}",
        errors(&wrong)
    );
    exporter.assert_secret();
}
