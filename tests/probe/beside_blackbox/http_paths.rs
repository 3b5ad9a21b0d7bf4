//! The paths and queries that both programs request, directly and after a redirect.

use tokio::io::AsyncWriteExt;

use super::{ALLOW, Blackbox};
use crate::common::exporter::Exporter;
use crate::common::targets::{Target, ok, read_request};
use crate::{ask, path};

const MODULES: &str = "modules: { http: { prober: http } }\n";

/// Targets that both request in the same way.
const PATHS: [&str; 20] = [
    "",
    "?a",
    "/?",
    "/a/../b",
    "/a/./b//c/",
    "/a/%2e%2e/b",
    "/a%2Fb%2fc/%7e",
    "/a!$&'()*+,;=:@[]-._~",
    "/a b",
    "/a%2fb c",
    "/a%2e%2e/!b c",
    "/{a}|<b>\"^`",
    "/a\\b",
    "/\u{e9}/%c3%a9",
    "/%c3%a9/\u{e9}",
    "/a#b?c",
    "/a?b=%2e%2e/../'c'",
    "/a?b=http://c/?d",
    "/a?b=[]&c=%20+",
    "/..",
];

/// Locations that both follow to the same path.
const LOCATIONS: [&str; 17] = [
    "g",
    "./g/",
    "../g",
    "..",
    "/a/../b/./c//d",
    "/a/%2e%2e/b",
    "?x",
    "#x",
    "g?y/../x",
    "/a b",
    "/{a}|",
    "/a\\b",
    "\\\\b",
    "/%c3%a9/a%2fb",
    "/a!$&'()*+,;=:@[]",
    "//HOST/a/../b",
    "http://HOST/a/%2e%2e/../b?c#d",
];

/// The target of a request, from its first line.
fn requested(request: &str) -> String {
    let line = request.lines().next().unwrap_or_default();
    let target = line.trim_start_matches("GET ").trim_end_matches(" HTTP/1.1");
    target.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_paths_are_requested() {
    let target = Target::answering(ok("fine")).await;
    let blackbox = Blackbox::start(MODULES).await;
    let exporter = Exporter::start(&format!("{MODULES}{ALLOW}"), &[]).await;
    let mut wrong = Vec::new();
    for text in PATHS {
        let probe = path("http", &target.url(text));
        for url in [blackbox.url(&probe), exporter.url(&probe)] {
            let (status, answer) = ask(&url, &[]).await;
            assert_eq!(status, 200, "{text}: {answer}");
        }
        let received = target.received();
        let [.., theirs, ours] = &received[..] else {
            panic!("{text}: {received:?}");
        };
        let (theirs, ours) = (requested(theirs), requested(ours));
        if theirs != ours {
            wrong.push(format!("{text}: theirs {theirs}, ours {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(target.accepted(), 2 * PATHS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_to_the_same_paths() {
    // The path of the first request is the number of the location.
    let target = Target::serve(|mut stream, _, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        let path = requested(&String::from_utf8_lossy(&request));
        let number = path.strip_prefix("/start/").and_then(|rest| rest.split('/').next());
        let location = number.and_then(|number| LOCATIONS.get(number.parse::<usize>().ok()?));
        let answer = match location.filter(|_| path.ends_with("/first?q")) {
            Some(location) => {
                let host = stream.local_addr().unwrap().to_string();
                let location = location.replace("HOST", &host);
                format!(
                    "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .into_bytes()
            }
            None => ok("the end"),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await;
    let blackbox = Blackbox::start(MODULES).await;
    let exporter = Exporter::start(&format!("{MODULES}{ALLOW}"), &[]).await;
    let mut wrong = Vec::new();
    for (number, location) in LOCATIONS.iter().enumerate() {
        let probe = path("http", &target.url(&format!("/start/{number}/first?q")));
        let mut followed = Vec::new();
        for url in [blackbox.url(&probe), exporter.url(&probe)] {
            let before = target.received().len();
            ask(&url, &[]).await;
            let requests: Vec<String> = target.received()[before..]
                .iter()
                .map(|request| requested(request))
                .take(2)
                .collect();
            followed.push(requests);
        }
        if followed[0] != followed[1] {
            wrong.push(format!(
                "{location}: theirs {:?}, ours {:?}",
                followed[0], followed[1]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
