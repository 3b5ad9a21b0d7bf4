//! Retries, and connections over TLS.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{LONG, Received, Stage, accepting, beats, parse, said, wait_for_file};
use crate::common::targets::tls::{self, Authority};
use crate::common::targets::{Target, ok, read_request};
use crate::{ends_with, errors, upkeep};

fn response(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{headers}\r\n").into_bytes()
}

/// Starts an exporter and returns the first heartbeat.
async fn first_beat_at(address: SocketAddr) -> Received {
    let listener = TcpListener::bind(address).await.unwrap();
    let (mut stream, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    let request = read_request(&mut stream).await;
    stream.write_all(&ok("OK\n")).await.unwrap();
    parse(std::str::from_utf8(&request).unwrap())
}

/// The exporter is down when the job starts and ends, and starts later.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_reported_when_the_exporter_is_back() {
    let (stage, address) = (Stage::new(), Target::refusing().await);
    let url = format!("http://{address}");
    let begun = Instant::now();
    let child = stage
        .shell(&url, &["--output=tail"], "echo ran | tee \"$1/ran\"; exit 6")
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for_file(&stage.path("ran"));
    println!("the job ran after {:?}", begun.elapsed());
    let beat = first_beat_at(address).await;
    assert_eq!((&*beat.what, &*beat.message), ("6", "ran\n"));
    let output = child.wait_with_output().unwrap();
    ends_with(6, &output);
    assert_eq!(
        errors(&output),
        "",
        "a heartbeat that arrives late is not worth a mail of cron"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_errors_are_retried_as_the_server_requests() {
    let stage = Stage::new();
    let exporter = Target::answering_each(vec![
        ok("OK\n"),
        response("429 Too Many Requests", "Retry-After: 2\r\n"),
        response(
            "503 Service Unavailable",
            "Retry-After: Mon, 30 Nov 2026 11:00:00 GMT\r\n",
        ),
        ok("OK\n"),
    ])
    .await;
    let begun = Instant::now();
    let output = stage.run(&exporter.url(""), &[], &["false"]).output().unwrap();
    ends_with(1, &output);
    assert_eq!(errors(&output), "");
    assert_eq!(said(&beats(&exporter)), ["start", "1", "1", "1"]);
    // 2 s, then half of 2 s or more.
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// A retry can't help, or the time for retries is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_error_says_what_to_do() {
    let stage = Stage::new();
    for (answer, flags, attempts, message) in [
        (
            response("404 Not Found", ""),
            &[][..],
            1,
            "it responded with 404 Not Found; compare the token with `token_file` of the check",
        ),
        (
            response("400 Bad Request", ""),
            &[],
            1,
            "it responded with 400 Bad Request\n",
        ),
        (
            response("403 Forbidden", ""),
            &[],
            1,
            "allow /api/heartbeat/ in the proxy",
        ),
        (
            response("308 Permanent Redirect", "Location: https://localhost/\r\n"),
            &[],
            1,
            "set --url to the URL that it redirects to",
        ),
        (
            response("429 Too Many Requests", "Retry-After: 3600\r\n"),
            &["--retry-for=100ms"],
            2,
            "does each job have its own?; gave up after 2 attempts within 100ms",
        ),
        (
            response("500 Internal Server Error", ""),
            &["--retry-for=0"],
            1,
            "it responded with 500 Internal Server Error; gave up after 1 attempt\n",
        ),
    ] {
        let exporter = Target::answering_each(vec![ok("OK\n"), answer]).await;
        let output = stage.run(&exporter.url(""), flags, &["true"]).output().unwrap();
        ends_with(0, &output);
        let expected = format!(
            "upkeep_exporter: can't report the end of the job to http://{}: ",
            exporter.address
        );
        assert!(errors(&output).starts_with(&expected), "{}", errors(&output));
        assert!(errors(&output).contains(message), "{}", errors(&output));
        assert_eq!(errors(&output).lines().count(), 1);
        assert_eq!(exporter.accepted(), 1 + attempts, "{message}");
    }
    let refusing = format!("http://{}", Target::refusing().await);
    let output = stage
        .run(&refusing, &["--retry-for=0"], &["true"])
        .output()
        .unwrap();
    ends_with(0, &output);
    assert!(
        errors(&output).ends_with(
            "Connection refused (os error 111); is an exporter running there?; gave up after 1 attempt\n"
        ),
        "{}",
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_retries() {
    let stage = Stage::new();
    let url = format!("http://{}", Target::refusing().await);
    let child = stage
        .shell(&url, &[], "echo ran >\"$1/ran\"; exit 3")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_file(&stage.path("ran"));
    let (pid, watched) = (Pid::from_child(&child), child.id());
    let waiting = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    // The job may not have ended yet. Then it gets the signal, and the retries take some seconds.
    while !waiting.is_finished() {
        let children = fs::read_to_string(format!("/proc/{watched}/task/{watched}/children"));
        if children.is_ok_and(|children| children.trim().is_empty()) {
            // If it has ended, the signal is not needed.
            let _ = kill_process(pid, Signal::TERM);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let output = waiting.await.unwrap();
    ends_with(3, &output);
    assert!(
        errors(&output).ends_with(": a signal ended the attempts\n"),
        "{}",
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_own_authority_and_a_client_certificate_works() {
    let (stage, authority) = (Stage::new(), Authority::new("ours"));
    let exporter = tls::serve(&authority.issue(&["localhost"], 2100), &[], Some(&authority)).await;
    let identity = authority.issue_for_clients(&["job"]);
    let file = |name: &str, text: &str| {
        fs::write(stage.path(name), text).unwrap();
        stage.path(name).into_os_string().into_string().unwrap()
    };
    let ca = file("ca.pem", &authority.pem());
    let (cert, key) = (
        file("cert.pem", &identity.certificate),
        file("key.pem", &identity.key),
    );
    let url = format!("https://localhost:{}", exporter.address.port());
    let report = |flags: &[&str]| {
        let flags = [&["--retry-for=0"], flags].concat();
        let output = stage.run(&url, &flags, &["true"]).output().unwrap();
        ends_with(0, &output);
        errors(&output).to_owned()
    };
    let refused = report(&["--cert-file", &cert, "--key-file", &key]);
    assert!(
        refused.contains("certificate") && refused.contains("set --ca-file to a trusted certificate"),
        "{refused}"
    );
    let refused = report(&["--ca-file", &ca]);
    assert!(refused.contains("can't report the end"), "{refused}");
    assert!(exporter.received().is_empty());
    assert_eq!(
        report(&["--ca-file", &ca, "--cert-file", &cert, "--key-file", &key]),
        ""
    );
    assert_eq!(
        report(&["--insecure", "--cert-file", &cert, "--key-file", &key]),
        ""
    );
    assert_eq!(exporter.received().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_works() {
    let stage = Stage::new();
    let listener = tokio::net::UnixListener::bind(stage.path("web.sock")).unwrap();
    let serving = tokio::spawn(async move {
        let mut received = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            stream.write_all(&ok("OK\n")).await.unwrap();
            received.push(parse(std::str::from_utf8(&request).unwrap()));
        }
        received
    });
    let url = format!("unix:{}", stage.path("web.sock").display());
    ends_with(0, &stage.run(&url, &[], &["true"]).output().unwrap());
    assert_eq!(said(&serving.await.unwrap()), ["start", "0"]);
}

/// The exporter may be behind a proxy that is broken in any way.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_response_is_bounded() {
    let (stage, endless) = (Stage::new(), Target::endless("HTTP/1.1 200 OK\r\n\r\n").await);
    let mut command = upkeep(&[
        "heartbeat",
        "send",
        "--retry-for=0",
        "--url",
        &endless.url(""),
        "--token-file",
    ]);
    let output = command.arg(stage.path("token")).output().unwrap();
    ends_with(1, &output);
    assert!(
        errors(&output).contains("more than 65536 bytes"),
        "{}",
        errors(&output)
    );
    let exporter = accepting().await;
    ends_with(0, &stage.run(&exporter.url(""), &[], &["true"]).output().unwrap());
}
