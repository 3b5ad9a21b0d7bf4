//! The token appears nowhere.

use super::{Stage, TOKEN, accepting, beats, said};
use crate::common::targets::Target;
use crate::{ends_with, errors, out, upkeep};

/// The job sees neither the variable nor the token in the command lines and environments that it can read.
#[tokio::test(flavor = "multi_thread")]
async fn the_job_does_not_see_the_token() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    // The environment of the command itself contains the variable, as the caller set it; only its user and root can read it.
    let job = "cat /proc/self/environ /proc/self/cmdline /proc/$PPID/cmdline; env; ls -l /proc/self/fd /proc/$PPID/fd; \
               echo \"variable: ${UPKEEP_TEST_TOKEN-unset}, other: $OTHER\"";
    for flags in [
        &["--token-env", "UPKEEP_TEST_TOKEN"][..],
        &["--token-file", stage.path("token").to_str().unwrap()],
    ] {
        let before = beats(&exporter).len();
        let mut command = upkeep(&["heartbeat", "run", "--url", &exporter.url("")]);
        command
            .args(flags)
            .args(["--", "sh", "-c", job])
            .env("OTHER", "kept");
        if flags[0] == "--token-env" {
            command.env("UPKEEP_TEST_TOKEN", TOKEN);
        }
        let output = command.output().unwrap();
        ends_with(0, &output);
        assert!(
            out(&output).ends_with("variable: unset, other: kept\n"),
            "{}",
            out(&output)
        );
        assert!(!out(&output).contains(TOKEN), "{}", out(&output));
        assert_eq!(errors(&output), "");
        assert_eq!(said(&beats(&exporter)[before..]), ["start", "0"]);
    }
}

/// Errors of all kinds don't contain it.
#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_contain_the_token() {
    let stage = Stage::new();
    let refusing = format!("http://{}", Target::refusing().await);
    let garbage = Target::answering(b"garbage\r\n\r\n".to_vec()).await;
    let closing = Target::closing(true).await;
    let missing = Target::answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    // As some proxies and frameworks respond.
    let text = format!("cannot POST /api/heartbeat/{TOKEN}/0");
    let repeating = Target::answering(
        format!(
            "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
        .into_bytes(),
    )
    .await;
    let urls = [
        repeating.url(""),
        refusing,
        garbage.url(""),
        closing.url(""),
        missing.url(""),
        closing.url("").replace("http", "https"),
    ];
    for url in urls {
        let output = stage.run(&url, &["--retry-for=0"], &["true"]).output().unwrap();
        ends_with(0, &output);
        let said = errors(&output);
        assert!(said.contains("can't report the "), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
    }
}
