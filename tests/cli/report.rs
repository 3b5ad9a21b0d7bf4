//! `report` with a real Prometheus, which has three hours of series.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use serde_json::Value;

use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::{ends_with, errors, out, upkeep};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// The state of a service at a time, which is seconds before the end.
fn status(service: &str, before_end: i64) -> &'static str {
    match service {
        // Ten minutes down, and half an hour degraded.
        "shop" if (110 * MINUTE..120 * MINUTE).contains(&before_end) => "down",
        "shop" if (30 * MINUTE..60 * MINUTE).contains(&before_end) => "degraded",
        // Down in maintenance, which does not count.
        "db" if (10 * MINUTE..20 * MINUTE).contains(&before_end) => "down",
        _ => "up",
    }
}

/// The series of three hours until `end`, one sample per minute, as OpenMetrics.
fn series(end: i64) -> String {
    let mut text = String::new();
    let mut family = |name: &str, samples: &dyn Fn(i64) -> Vec<(String, f64)>| {
        writeln!(text, "# TYPE {name} gauge").unwrap();
        for before in (0..=180).rev().map(|minute| minute * MINUTE) {
            for (labels, value) in samples(before) {
                writeln!(
                    text,
                    "{name}{{job=\"upkeep\",instance=\"h:1\",{labels}}} {value} {}",
                    end - before
                )
                .unwrap();
            }
        }
    };
    let services = [("shop", "web", "Web | shop"), ("db", "data", "Database")];
    let label =
        |service: &str, group: &str| format!("service=\"{service}\",group=\"{group}\",tier=\"critical\"");
    family("upkeep_service_info", &|_| {
        let row = |(service, group, name): (&str, &str, &str)| {
            (format!("{},name=\"{name}\"", label(service, group)), 1.0)
        };
        services.map(row).to_vec()
    });
    family("upkeep_service_up", &|before| {
        let row = |(service, group, _)| {
            (
                label(service, group),
                f64::from(status(service, before) != "down"),
            )
        };
        services.map(row).to_vec()
    });
    family("upkeep_service_status", &|before| {
        let mut rows = Vec::new();
        for (service, group, _) in services {
            for one in ["up", "degraded", "down", "unknown"] {
                let labels = format!("{},status=\"{one}\"", label(service, group));
                rows.push((labels, f64::from(status(service, before) == one)));
            }
        }
        rows
    });
    family("upkeep_service_maintenance", &|before| {
        let holds = |service| service == "db" && (5 * MINUTE..25 * MINUTE).contains(&before);
        services
            .map(|(service, group, _)| (label(service, group), f64::from(holds(service))))
            .to_vec()
    });
    // The rule leaves out maintenance. Here it has a sample per minute, of this minute.
    family("upkeep:service_up:avg5m", &|before| {
        let counted = |service: &str| service == "shop" || !(5 * MINUTE..25 * MINUTE).contains(&before);
        let up = |service| f64::from(status(service, before) != "down");
        let rows = services.iter().filter(|(service, ..)| counted(service));
        rows.map(|(service, group, _)| (label(service, group), up(service)))
            .collect()
    });
    family("upkeep_service_objective_ratio", &|_| {
        vec![(label("shop", "web"), 0.9)]
    });
    family("upkeep_check_last_duration_seconds", &|before| {
        let seconds = if before == 40 * MINUTE { 2.5 } else { 0.5 };
        vec![(
            "service=\"shop\",group=\"web\",check=\"http\"".to_owned(),
            seconds,
        )]
    });
    family(
        "upkeep_check_problem_info",
        &|before| match status("shop", before) {
            "down" => vec![(
                "service=\"shop\",group=\"web\",check=\"http\",reason=\"refused\"".to_owned(),
                1.0,
            )],
            _ => Vec::new(),
        },
    );
    text + "# EOF\n"
}

/// Starts a Prometheus with the series.
async fn prometheus(dir: &Path, end: i64) -> (Server, String) {
    let file = dir.join("series.txt");
    fs::write(&file, series(end)).unwrap();
    let data = dir.join("data");
    let created = Command::new(tool("promtool", "prometheus"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    fs::write(dir.join("prometheus.yml"), "").unwrap();
    let port = free_port();
    let mut command = Command::new(tool("prometheus", "prometheus"));
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let server = Server::start("prometheus", command, dir);
    let url = format!("http://127.0.0.1:{port}");
    eventually("Prometheus is ready", Duration::from_secs(60), async || {
        get(&format!("{url}/-/ready")).await
    })
    .await;
    (server, url)
}

fn near(value: &Value, expected: f64, tolerance: f64) {
    let number = value.as_f64().unwrap_or(f64::NAN);
    assert!(
        (number - expected).abs() <= tolerance,
        "{value} is not {expected}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_the_uptime_outages_and_budgets_of_a_range() {
    let dir = tempfile::tempdir().unwrap();
    let end = Timestamp::now().round(Unit::Minute).unwrap().as_second() - MINUTE;
    let (_server, url) = prometheus(dir.path(), end).await;
    let run = |arguments: &[&str]| {
        let output = upkeep(&["report", "--prometheus", &url, "--range", "170m"])
            .args(arguments)
            .output()
            .unwrap();
        ends_with(0, &output);
        out(&output).to_owned()
    };

    let report: Value = serde_json::from_str(&run(&["--output", "json"])).unwrap();
    let services = report["services"].as_array().unwrap();
    let [db, shop] = [&services[0], &services[1]];
    assert_eq!(
        (&shop["key"], &shop["name"], &shop["group"]),
        (&"shop".into(), &"Web | shop".into(), &"web".into())
    );
    near(&shop["down_seconds"], 600.0, 61.0);
    near(&shop["degraded_seconds"], 1_800.0, 61.0);
    near(&shop["uptime_ratio"], 160.0 / 170.0, 0.007);
    // A tenth may be down; 10 of 170 minutes were.
    near(&shop["budget_left_ratio"], 1.0 - (10.0 / 170.0) / 0.1, 0.07);
    near(&shop["response_maximum_seconds"], 0.5, 2.0);
    near(&shop["response_average_seconds"], 0.5, 0.1);
    assert_eq!(shop["incidents"], 1);
    near(&db["uptime_ratio"], 1.0, 0.0);
    near(&db["maintenance_seconds"], 1_200.0, 61.0);
    assert_eq!(
        (&db["incidents"], &db["objective_ratio"]),
        (&0.into(), &Value::Null)
    );

    let incidents = report["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(
        (&incidents[0]["service"], &incidents[0]["reason"]),
        (&"shop".into(), &"http: refused".into())
    );
    near(&incidents[0]["seconds"], 600.0, 61.0);
    let start: Timestamp = incidents[0]["from"].as_str().unwrap().parse().unwrap();
    assert!(
        (start.as_second() - (end - 120 * MINUTE)).abs() <= 2 * MINUTE,
        "{start}"
    );
    assert!(incidents[0]["to"].is_string());

    let table = run(&[]);
    for part in [
        "Services\n",
        "Groups\n",
        "Outages\n",
        "Error budgets\n",
        "http: refused",
        "Web | shop",
    ] {
        assert!(table.contains(part), "no {part} in {table}");
    }
    assert!(run(&["--output", "md"]).contains("| Web \\| shop | 9"));
    let html = run(&["--output", "html", "web | shop"]);
    assert!(
        html.starts_with("<!DOCTYPE html>")
            && html.contains("<td>Web | shop</td>")
            && !html.contains("Database")
    );
    let csv = run(&["--output", "csv"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("from,to,group,service,"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_without_services_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let end = Timestamp::now().as_second() - 30 * HOUR;
    let (_server, url) = prometheus(dir.path(), end).await;
    let output = upkeep(&["report", "--prometheus", &url, "--range", "1h"])
        .output()
        .unwrap();
    ends_with(1, &output);
    assert!(
        errors(&output).contains("does it scrape the exporter?"),
        "{}",
        errors(&output)
    );
    for (arguments, part) in [
        (&["--range", "59m"][..], "from 1h to 400d"),
        (&["--prometheus", "ftp://h"], "the scheme ftp"),
        (
            &["--prometheus", &url, "--url", "http://h"],
            "cannot be used with",
        ),
    ] {
        let output = upkeep(&[&["report"][..], arguments].concat()).output().unwrap();
        ends_with(64, &output);
        assert!(errors(&output).contains(part), "{}", errors(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exporter_reports_its_own_history() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = dir.path().join("upkeep.yml");
    let services = format!(
        "defaults: {{ interval: 200ms, recheck_interval: 200ms }}\nservices:\n\
         - {{ key: self, name: Itself, group: web, slo: {{ objective: 90% }}, checks: [{{ kind: tcp, address: '127.0.0.1:{port}' }}] }}\n\
         - {{ key: gone, group: data, checks: [{{ kind: tcp, address: '{}' }}] }}\n",
        crate::REFUSING
    );
    fs::write(&config, services).unwrap();
    let web = dir.path().join("web.yml");
    fs::write(&web, "{}\n").unwrap();
    let mut command = upkeep(&[]);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--web.config.file={}", web.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--state.dir={}", dir.path().join("state").display()));
    let _exporter = Server::start("exporter", command, dir.path());
    let url = format!("http://127.0.0.1:{port}");
    let report = eventually(
        "the history has both services",
        Duration::from_secs(30),
        async || {
            let output = upkeep(&["report", "--url", &url, "--range", "1h", "--output", "json"])
                .output()
                .unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).ok()?;
            let known = |row: &Value| {
                row["up_seconds"].as_f64() > Some(1.0) || row["down_seconds"].as_f64() > Some(1.0)
            };
            report["services"].as_array()?.iter().all(known).then_some(report)
        },
    )
    .await;
    let [gone, own] = [&report["services"][0], &report["services"][1]];
    assert_eq!((&own["name"], &own["group"]), (&"Itself".into(), &"web".into()));
    near(&own["uptime_ratio"], 1.0, 0.0);
    near(&gone["uptime_ratio"], 0.0, 0.0);
    near(&own["objective_ratio"], 0.9, 1e-9);
    near(&own["budget_left_ratio"], 1.0, 1e-9);
    assert!(
        own["response_average_seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0),
        "{own}"
    );
    assert_eq!((&own["incidents"], &gone["incidents"]), (&0.into(), &1.into()));
    assert_eq!(report["incidents"][0]["reason"], "tcp: refused");
    assert_eq!(report["incidents"][0]["to"], Value::Null);
    // Most of the hour is before the start of the exporter.
    assert!(own["no_data_seconds"].as_f64() > Some(3_000.0), "{own}");
    assert_eq!(report["groups"][1]["services"], 1);

    // A report has three requests. If the exporter accepts one per second, it waits.
    fs::write(&web, "rate_limit: { interval: 1s, burst: 1 }\n").unwrap();
    eventually("requests are limited", Duration::from_secs(30), async || {
        get(&format!("{url}/api/status")).await.is_none().then_some(())
    })
    .await;
    let output = upkeep(&["report", "--url", &url, "--output", "csv"])
        .output()
        .unwrap();
    ends_with(0, &output);
    assert_eq!(out(&output).lines().count(), 3);
    let note = format!("{url} limits the rate of requests; waiting as it asks for\n");
    assert_eq!(errors(&output), note, "it says so once");
}

/// A server that has too many requests: with a reasonable pause until the next one, and with an unreasonable one.
#[test]
fn a_wait_that_a_server_asks_for_is_bounded() {
    for (seconds, requests) in [(1, 2), (61, 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for number in 1..=requests {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                assert!(lines.take_while(|line| !line.is_empty()).count() > 1);
                let head = match number {
                    2 => "500 Internal Server Error".to_owned(),
                    _ => format!("429 Too Many Requests\r\nretry-after: {seconds}"),
                };
                let response = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(response.as_bytes()).unwrap();
            }
        });
        let output = upkeep(&["report", "--url", &url]).output().unwrap();
        server.join().unwrap();
        ends_with(1, &output);
        let expected = if requests == 2 {
            "responded with 500"
        } else {
            "responded with 429"
        };
        assert!(errors(&output).contains(expected), "{}", errors(&output));
    }
}
