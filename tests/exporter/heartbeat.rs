//! Jobs that report to a running exporter: their status, restarts after a kill, where the token shows, floods, and Alertmanager's watchdog.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use procfs::WithCurrentSystemInfo;
use serde_json::{Value, json};

use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::{Exporter, LONG};

const TOKEN: &str = "3d2ce1b0c5f84f6f9b7a1e2d3c4b5a69";
const OTHER: &str = "9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d";

/// How many requests a flood has at least.
const FLOOD: usize = 10_000;

/// Sends a beat and returns the status of the response.
async fn send(exporter: &Exporter, path: &str, body: &str) -> u16 {
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .timeout(LONG)
        .build()
        .unwrap();
    let request = client
        .post(exporter.url(&format!("/api/heartbeat/{path}")))
        .body(body.to_owned());
    request.send().await.unwrap().status().as_u16()
}

/// The check of the service in `/api/status`.
async fn check(exporter: &Exporter, service: &str) -> Option<Value> {
    let text = get(&exporter.url(&format!("/api/status/{service}"))).await?;
    let mut status: Value = serde_json::from_str(&text).unwrap();
    Some(status["checks"][0].take())
}

/// Waits until the check of the job has this status and state.
async fn becomes(exporter: &Exporter, status: &str, state: &str) -> Value {
    let what = format!("{status} and {state}\n{}", exporter.server.log());
    eventually(&what, LONG, || async {
        let check = check(exporter, "job").await?;
        (check["status"] == status && check["job"]["state"] == state).then_some(check)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_survives_a_kill_and_its_token_shows_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (token_file, state) = (dir.path().join("token"), dir.path().join("state"));
    fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let config = format!(
        "services: [{{ key: job, checks: [{{ kind: heartbeat, token_file: {}, every: 1h }}] }}, \
         {{ key: other, checks: [{{ kind: heartbeat, token: {OTHER}, cron: \"0 3 * * *\", timezone: Europe/Berlin }}] }}]\n",
        token_file.display()
    );
    let state_flag = format!("--state.dir={}", state.display());
    let flags = [state_flag.as_str(), "--log.level=debug"];
    let mut exporter = Exporter::start(&config, &flags).await;
    becomes(&exporter, "up", "new").await;
    assert_eq!(
        send(&exporter, &format!("{TOKEN}/start?rid=run-1"), "").await,
        200
    );
    becomes(&exporter, "up", "running").await;
    let text = format!("requesting /api/heartbeat/{TOKEN}\ndisk full\n");
    assert_eq!(send(&exporter, &format!("{TOKEN}/3?rid=run-1"), &text).await, 200);
    let failed = becomes(&exporter, "down", "failed").await;
    assert_eq!(failed["reason"], "status");
    assert_eq!(failed["message"], "the job failed with exit status 3: disk full");
    assert_eq!(failed["job"]["beats"][0]["run_id"], "run-1");
    assert!(failed["job"]["beats"][0]["run_time_ms"].as_f64().unwrap() > 0.0);
    let labels = "service=\"job\",group=\"default\",check=\"heartbeat\"";
    for (series, value) in [
        (
            format!("upkeep_heartbeat_state{{{labels},state=\"failed\"}}"),
            1.0,
        ),
        (format!("upkeep_heartbeat_exit_status{{{labels}}}"), 3.0),
        (
            format!("upkeep_heartbeat_beats_total{{{labels},type=\"fail\"}}"),
            1.0,
        ),
        (
            "upkeep_heartbeat_rejected_requests_total{reason=\"unknown_token\"}".to_owned(),
            0.0,
        ),
    ] {
        assert_eq!(exporter.value(&series).await, Some(value), "{series}");
    }
    assert_eq!(send(&exporter, &TOKEN[1..], "").await, 404);
    // A success ends the failure, and survives that the exporter is killed as soon as it is saved.
    assert_eq!(send(&exporter, TOKEN, "done").await, 200);
    let before = becomes(&exporter, "up", "up").await;
    let shown = shown(&exporter, &state, "done").await;
    exporter.server.kill();
    let log = exporter.server.log();
    drop(exporter);
    let exporter = Exporter::start(&config, &flags).await;
    let after = becomes(&exporter, "up", "up").await;
    for field in ["last_success", "last_start", "due", "beats"] {
        assert_eq!(after["job"][field], before["job"][field], "{field}");
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["check-config", exporter.config().to_str().unwrap()])
        .output()
        .unwrap();
    let checked = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    for (what, text) in [
        ("what it serves and saves", shown),
        ("the log", log),
        ("check-config", checked),
    ] {
        for token in [TOKEN, OTHER] {
            assert!(!text.contains(&token[..12]), "{what} shows a token: {text}");
        }
    }
}

/// Everything that the exporter serves and saves, once the state has `saved`.
async fn shown(exporter: &Exporter, state: &Path, saved: &str) -> String {
    let mut shown = eventually("the saved beat", LONG, || async {
        let text = fs::read_to_string(state.join("heartbeats.json")).ok()?;
        text.contains(saved).then_some(text)
    })
    .await;
    assert!(shown.contains("requesting /api/heartbeat/<secret>"), "{shown}");
    for entry in fs::read_dir(state).unwrap() {
        shown += &fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
    }
    for path in [
        "/",
        "/metrics",
        "/service/job",
        "/service/other",
        "/api/status",
        "/config",
        "/sd",
    ] {
        let text = get(&exporter.url(path)).await;
        shown += &text.unwrap_or_else(|| panic!("{path}"));
    }
    let page = get(&exporter.url("/service/job")).await.unwrap();
    for part in ["disk full", "run-1", "exit status 3", "Next due"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    shown
}

/// Requests that a client sends at once on one connection.
const BATCH: usize = 100;

/// Sends beats as fast as the exporter takes them, until `stop`. Counts the responses.
fn flood(address: &str, path: &str, stop: &AtomicBool, count: &AtomicUsize) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(BATCH);
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        stream.set_read_timeout(Some(LONG)).unwrap();
        while !stop.load(Ordering::SeqCst) && stream.write_all(request.as_bytes()).is_ok() {
            let mut left = BATCH;
            while left > 0 {
                let Ok(read @ 1..) = stream.read(&mut buffer) else {
                    break;
                };
                let starts = buffer[..read].windows(9).filter(|window| *window == b"HTTP/1.1 ");
                let starts = starts.count();
                count.fetch_add(starts, Ordering::SeqCst);
                left = left.saturating_sub(starts);
            }
            if left > 0 {
                break;
            }
        }
    }
}

fn resident_bytes(server: &Server) -> u64 {
    let process = procfs::process::Process::new(server.pid().cast_signed()).unwrap();
    process.stat().unwrap().rss_bytes().get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_beats_delays_neither_other_jobs_nor_scrapes() {
    let dir = tempfile::tempdir().unwrap();
    let job = |key: &str, token: &str| {
        format!("{{ key: {key}, checks: [{{ kind: heartbeat, token: {token}, every: 1h }}] }}")
    };
    let config = format!("services: [{}, {}]\n", job("job", TOKEN), job("other", OTHER));
    let state_flag = format!("--state.dir={}", dir.path().display());
    let exporter = Exporter::start(&config, &[&state_flag]).await;
    let before = resident_bytes(&exporter.server);
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = exporter.url("").trim_start_matches("http://").to_owned();
    let paths = [TOKEN, TOKEN, "0000000000000000", TOKEN].map(|token| format!("/api/heartbeat/{token}"));
    let clients = paths.map(|path| {
        let (stop, count, address) = (Arc::clone(&stop), Arc::clone(&count), address.clone());
        thread::spawn(move || flood(&address, &path, &stop, &count))
    });
    let (began, mut files, mut beats) = (Instant::now(), Vec::new(), 0);
    while count.load(Ordering::SeqCst) < FLOOD || beats < 2 {
        assert!(
            began.elapsed() < LONG * 3,
            "{} responses",
            count.load(Ordering::SeqCst)
        );
        // Every file that replaces another one has an inode and a time of its own.
        if let Ok(file) = fs::metadata(dir.path().join("heartbeats.json")) {
            let version = (file.ino(), file.mtime(), file.mtime_nsec());
            if files.last() != Some(&version) {
                files.push(version);
            }
        }
        if beats < 2 {
            assert_eq!(send(&exporter, OTHER, "").await, 200, "the other job is blocked");
            beats += 1;
        }
        let asked = Instant::now();
        exporter.metrics().await;
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "a scrape took {:?}",
            asked.elapsed()
        );
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let seconds = began.elapsed().as_secs() as usize;
    assert!(
        files.len() <= seconds + 3,
        "{} writes in {seconds} s",
        files.len()
    );
    let grown = resident_bytes(&exporter.server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let other = check(&exporter, "other").await.unwrap();
    assert_eq!(other["job"]["beats"].as_array().unwrap().len(), 2);
    let refused = "upkeep_heartbeat_rejected_requests_total{reason=\"rate_limit\"}";
    assert!(exporter.value(refused).await.unwrap() > FLOOD as f64 / 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_of_a_real_alertmanager_is_a_job() {
    let config = format!(
        "services: [{{ key: job, checks: [{{ kind: heartbeat, token: {TOKEN}, every: 2m, grace: 3m }}] }}]\n"
    );
    let exporter = Exporter::start(&config, &[]).await;
    let dir = tempfile::tempdir().unwrap();
    // Its version in Debian has no url_file.
    let url = exporter.url(&format!("/api/heartbeat/{TOKEN}"));
    let file = dir.path().join("alertmanager.yml");
    let text = format!(
        "route:\n  receiver: watchdog\n  group_wait: 0s\n  group_interval: 1s\n  repeat_interval: 1s\nreceivers:\n  - name: watchdog\n    \
         webhook_configs: [{{ url: \"{url}\", send_resolved: false }}]\n"
    );
    fs::write(&file, text).unwrap();
    let port = free_port();
    let mut command = Command::new(tool("prometheus-alertmanager", "prometheus-alertmanager"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let _alertmanager = Server::start("alertmanager", command, dir.path());
    let alertmanager = format!("http://127.0.0.1:{port}");
    let ready = format!("{alertmanager}/-/ready");
    eventually("Alertmanager", LONG, || get(&ready)).await;
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap();
    let alerts = json!([{ "labels": { "alertname": "UpkeepWatchdog", "severity": "none" } }]);
    let posted = client
        .post(format!("{alertmanager}/api/v2/alerts"))
        .header("content-type", "application/json")
        .body(alerts.to_string())
        .send()
        .await
        .unwrap();
    assert!(posted.status().is_success(), "{posted:?}");
    becomes(&exporter, "up", "up").await;
    // It repeats, and its text follows.
    eventually("a second beat", LONG, || async {
        let check = check(&exporter, "job").await?;
        let beats = check["job"]["beats"].as_array()?;
        let has_text = |beat: &Value| beat["message"].as_str().unwrap().contains("UpkeepWatchdog");
        (beats.len() > 1 && beats.iter().any(has_text)).then_some(())
    })
    .await;
}
