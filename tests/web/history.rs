//! The history of a service as JSON, as CSV and on the page.

use serde_json::{Value, json};
use upkeep_exporter::store::Snapshot;

use crate::api::json;
use crate::client::{Server, state};
use crate::common::pasts;
use crate::openapi;
use crate::snapshots::{every_status, many};

/// A server with the usual past of every service.
async fn served() -> Server {
    let mut state = state(every_status);
    state.history = pasts::usual(&every_status());
    Server::start(state).await
}

#[tokio::test]
async fn rows_and_incidents_match_the_description() {
    let server = served().await;
    let day = json(&server.get("/api/status/api/history", &[]).await);
    openapi::assert_is("History", &day);
    assert_eq!((&day["service"], &day["step"]), (&json!("api"), &json!("5m")));
    let rows = day["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 289, "every bucket that overlaps 24 hours");
    let sum = |field: &str| -> f64 { rows.iter().map(|row| row[field].as_f64().unwrap()).sum() };
    assert_eq!(sum("down_seconds"), 12.0 * 60.0);
    assert_eq!(sum("degraded_seconds"), 25.0 * 60.0);
    assert_eq!(sum("maintenance_seconds"), 90.0 * 60.0);
    assert_eq!(sum("unknown_seconds"), 40.0 * 60.0);
    let known = ["up", "degraded", "down", "unknown", "maintenance", "no_data"];
    let all: f64 = known.iter().map(|name| sum(&format!("{name}_seconds"))).sum();
    assert!((86_400.0..=86_700.0).contains(&all), "{all}");
    let (up, degraded, down) = (sum("up_seconds"), sum("degraded_seconds"), sum("down_seconds"));
    let uptime = day["uptime_ratio"].as_f64().unwrap();
    assert!((uptime - (up + degraded) / (up + degraded + down)).abs() < 1e-12);
    let last = rows.last().unwrap();
    assert_eq!(last["responses"], 10);
    assert!(last["response_max_seconds"].as_f64() > last["response_average_seconds"].as_f64());
    let empty = rows.iter().find(|row| row["down_seconds"] == 300.0).unwrap();
    assert_eq!(
        (&empty["uptime_ratio"], &empty["response_average_seconds"]),
        (&json!(0.0), &Value::Null)
    );
    let incidents = day["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 2);
    assert_eq!(
        (&incidents[0]["status"], &incidents[0]["reason"]),
        (&json!("down"), &json!("refused"))
    );
    assert_eq!(
        (&incidents[0]["seconds"], &incidents[0]["check"]),
        (&json!(720.0), &json!("tcp"))
    );
    for query in ["step=1h", "step=1d", "from=1699990000&to=1699993600"] {
        let document = json(&server.get(&format!("/api/status/api/history?{query}"), &[]).await);
        openapi::assert_is("History", &document);
    }
}

#[tokio::test]
async fn csv_has_the_same_rows() {
    let server = served().await;
    let document = json(&server.get("/api/status/api/history?step=1h", &[]).await);
    for (path, headers) in [
        ("/api/status/api/history?step=1h&format=csv", &[][..]),
        ("/api/status/api/history?step=1h", &["Accept: text/csv"]),
    ] {
        let reply = server.get(path, headers).await;
        assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(reply.header("vary"), Some("accept, accept-encoding"));
        let mut lines = reply.text().split_terminator("\r\n");
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows = document["rows"].as_array().unwrap();
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), rows.len());
        for (line, row) in lines.iter().zip(rows) {
            for (name, value) in names.iter().zip(line.split(',')) {
                match &row[*name] {
                    Value::Null => assert_eq!(value, ""),
                    Value::String(text) => assert_eq!(value, text),
                    number => assert_eq!(value.parse::<f64>().unwrap(), number.as_f64().unwrap(), "{name}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn mistakes_are_explained() {
    let server = served().await;
    for (path, status, part) in [
        ("/api/status/api/history?step=2h", 400, "supported: 5m, 1h, 1d"),
        ("/api/status/api/history?from=tomorrow", 400, "RFC 3339"),
        (
            "/api/status/api/history?from=0&step=5m",
            400,
            "use a larger step or a shorter range",
        ),
        (
            "/api/status/api/history?from=5&to=4",
            400,
            "from must be before to",
        ),
        ("/api/status/apo/history", 404, "did you mean api?"),
        ("/api/status//history", 404, "no such endpoint"),
        ("/service/api?history=1y", 400, "supported: 24h, 7d, 30d, 90d"),
        ("/?history=7d", 400, "supported: 24h, 90d"),
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text().contains(part), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_service_that_is_new_has_no_rows_and_a_removed_one_keeps_its_rows() {
    let mut state = state(every_status);
    state.history = pasts::usual(&many(1));
    let server = Server::start(state).await;
    let new = json(&server.get("/api/status/api/history", &[]).await);
    assert_eq!((&new["rows"], &new["uptime_ratio"]), (&json!([]), &Value::Null));
    let removed = json(&server.get("/api/status/service-0/history", &[]).await);
    assert!(removed["uptime_ratio"].as_f64().unwrap() > 0.9);
}

/// The overview with the longest possible strips.
#[tokio::test]
async fn the_page_of_a_thousand_services_is_small() {
    let source = || -> Snapshot { many(1000) };
    let reader = pasts::restless(&source());
    let mut snapshot = source();
    reader.add_to(&mut snapshot);
    let mut state = state(move || snapshot.clone());
    state.history = reader;
    let server = Server::start(state).await;
    for (path, title) in [
        ("/", "<title>Last 24 hours"),
        ("/?history=90d", "<title>Last 90 days"),
    ] {
        let begin = std::time::Instant::now();
        let reply = server.get(path, &[]).await;
        let size = reply.body.len();
        println!(
            "{path}: {size} bytes in {:?}, without optimisation",
            begin.elapsed()
        );
        let text = reply.text();
        assert_eq!(text.matches(title).count(), 1000);
        assert!(size < 2_000_000, "{path}: {size} bytes");
        assert!(!text.contains("style="), "the policy forbids inline styles");
    }
}

#[tokio::test]
async fn the_pages_are_complete_without_scripts() {
    let reader = pasts::usual(&every_status());
    let mut snapshot = every_status();
    reader.add_to(&mut snapshot);
    let mut state = state(move || snapshot.clone());
    state.history = reader;
    let server = Server::start(state).await;
    let page = server.get("/service/api?history=30d", &[]).await;
    for part in [
        "Last 24 hours: ",
        "down 12\u{a0}min",
        "Response times of the last 30 days",
        "<b>refused</b>",
        "2023-11-14 21:08",
        "Times are in UTC.",
        "aria-current=\"true\">30 days",
    ] {
        assert!(page.text().contains(part), "{part}");
    }
    assert!(!page.text().contains("style="));
    let overview = server.get("/?history=90d&status=down", &[]).await;
    assert!(overview.text().contains("class=\"rows r90d\""));
    assert!(
        overview.text().contains("href=\"/?status=down\""),
        "the other range keeps the filter"
    );
    assert!(
        overview.text().contains("href=\"/?status=up&amp;history=90d\""),
        "the filter keeps the range"
    );
}
