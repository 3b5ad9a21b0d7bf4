//! Regular expressions: what the real one refuses and what it matches, held against ours.

use std::fs;
use std::process::Command;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use upkeep_exporter::config::pattern::Pattern;

use super::Blackbox;
use crate::common::servers::tool;
use crate::common::targets::{Target, read_request};
use crate::exposition::series;
use crate::path;

/// What the expressions are matched against.
const BODIES: &[&[u8]] = &[
    b"",
    b"a",
    b"b",
    b"ab",
    b"aab\n",
    b"AB",
    b"aaaa",
    b"a&b",
    b"a-b",
    b"-",
    b"a~b",
    b"a]b",
    b"[",
    b"x[y]z",
    b"\\",
    b"^",
    b"a{b",
    b"a{,3}",
    b"a}b",
    b"{\"ok\":true}",
    b"\"status\": {\"code\": 1}",
    b"status: !down",
    b"status: down",
    b"a b\tc",
    b"a\x0bb",
    b"x\ny\nz",
    b"123 S",
    b"a.b*c",
    b"_",
    "é".as_bytes(),
    "aé".as_bytes(),
    "éa".as_bytes(),
    "äöü".as_bytes(),
    "BÜCHER".as_bytes(),
    "bücher".as_bytes(),
    "Ωμέγα".as_bytes(),
    "ΣΑΣ".as_bytes(),
    "σας".as_bytes(),
    "٣".as_bytes(),
    "Ⅷ".as_bytes(),
    "\u{212a}".as_bytes(),
    "ſ".as_bytes(),
    "漢字".as_bytes(),
    "😀".as_bytes(),
    "\u{ad}".as_bytes(),
    "\u{378}".as_bytes(),
    "\u{fffd}".as_bytes(),
    b"\x00",
    b"\xff",
    b"\xe9",
    b"caf\xe9",
    b"\xe2\x82",
    b"\xe2\x82x",
    b"\xc3\xa9\xa9",
    b"\xed\xa0\x80",
    b"a\xc0\x80b",
    b"\xe9\xc3\xa9",
];

/// What the real one takes and we refuse. It is documented.
const REFUSED_HERE: &[&str] = &["(?P<n>a)(?P<n>b)", "(?P<1n>a)", "a(?i)*"];
/// What we take and the real one refuses, as newer versions of it take it.
const NEWER: &[&str] = &["(?<n>a)b"];

/// The expressions: what both take, and what neither does. Between them they have every form of the syntax.
fn expressions() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("expressions.txt").lines();
    lines.filter(|line| !line.starts_with("#:")).chain([""])
}

fn module(expression: &str) -> String {
    let expression = json!(expression);
    format!("{{ prober: http, timeout: 5s, http: {{ fail_if_body_not_matches_regexp: [{expression}] }} }}")
}

/// Whether the real one takes it.
fn is_taken(expression: &str, file: &std::path::Path) -> bool {
    fs::write(file, format!("modules:\n  a: {}\n", module(expression))).unwrap();
    let name = "prometheus-blackbox-exporter";
    let output = Command::new(tool(name, name))
        .arg("--config.check")
        .arg(format!("--config.file={}", file.display()))
        .output()
        .unwrap();
    output.status.success()
}

/// Answers each request with the body whose number is its path.
async fn bodies() -> Target {
    Target::serve(|mut stream, _, _| async move {
        let request = String::from_utf8(read_request(&mut stream).await).unwrap();
        let number = request.split(['/', ' ']).find_map(|word| word.parse().ok());
        let body = BODIES[number.unwrap_or(0usize)];
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
        stream.shutdown().await.ok()?;
        Some(stream)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_match_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wrong, mut modules, mut taken) = (Vec::new(), "modules:\n".to_owned(), Vec::new());
    for (index, expression) in expressions().enumerate() {
        let theirs = is_taken(expression, &dir.path().join("blackbox.yml"));
        let ours = Pattern::new(expression);
        let expected = (theirs || NEWER.contains(&expression)) && !REFUSED_HERE.contains(&expression);
        match ours {
            Ok(_) if !expected => wrong.push(format!("{expression}: refused there, taken here")),
            Err(error) if expected => wrong.push(format!("{expression}: taken there, refused here: {error}")),
            Ok(pattern) if theirs => {
                modules.push_str(&format!("  e{index}: {}\n", module(expression)));
                taken.push((index, pattern));
            }
            _ => {}
        }
    }
    let blackbox = Blackbox::start(&modules).await;
    let target = bodies().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let pairs = taken
        .iter()
        .flat_map(|pair| (0..BODIES.len()).map(move |number| (pair, number)));
    let differing = stream::iter(pairs).map(|((index, pattern), number)| {
        let (client, target) = (client.clone(), &target);
        let url = blackbox.url(&path(&format!("e{index}"), &target.url(&format!("/{number}"))));
        async move {
            let text = client.get(url).send().await.unwrap().text().await.unwrap();
            let series = series(&text);
            assert_eq!(series["probe_http_status_code"], 200.0, "{text}");
            let (theirs, ours) = (
                series["probe_failed_due_to_regex"] == 0.0,
                pattern.is_match(BODIES[number]),
            );
            let body = BODIES[number].escape_ascii();
            (theirs != ours).then(|| format!("{} on {body}: theirs {theirs}, ours {ours}", pattern.as_str()))
        }
    });
    wrong.extend(
        differing
            .buffer_unordered(8)
            .filter_map(std::future::ready)
            .collect::<Vec<_>>()
            .await,
    );
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(taken.len() > 200, "{} expressions were compared", taken.len());
}
