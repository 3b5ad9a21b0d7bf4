//! `heartbeat send`.

use std::process::Stdio;

use super::{Received, Stage, TOKEN, accepting, beats};
use crate::common::targets::Target;
use crate::{ends_with, errors, out, upkeep};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_heartbeat_can_be_sent() {
    let exporter = accepting().await;
    let cases: [(&[&str], &str, Option<&str>, &str); 7] = [
        (&[], "", None, ""),
        (&["--start", "--rid=run-1"], "start", Some("run-1"), ""),
        (
            &["--fail", "--message=no space left"],
            "fail",
            None,
            "no space left",
        ),
        (&["--exit-status=0"], "0", None, ""),
        (
            &["--exit-status", "17", "--rid", "run-1"],
            "17",
            Some("run-1"),
            "",
        ),
        (&["--exit-status=TERM"], "143", None, ""),
        (&["--exit-status=SIGKILL"], "137", None, ""),
    ];
    for (flags, what, run_id, message) in cases {
        let output = upkeep(&["heartbeat", "send", "--token-env=T", "--url", &exporter.url("")])
            .args(flags)
            .env("T", TOKEN)
            .output()
            .unwrap();
        ends_with(0, &output);
        assert_eq!((out(&output), errors(&output)), ("", ""));
        let expected = Received {
            what: what.to_owned(),
            run_id: run_id.map(str::to_owned),
            message: message.to_owned(),
        };
        assert_eq!(beats(&exporter).last(), Some(&expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_standard_input_is_cut() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let mut writer = std::process::Command::new("head")
        .args(["-c", "1000000", "/dev/zero"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = upkeep(&[
        "heartbeat",
        "send",
        "--message=-",
        "--url",
        &exporter.url(""),
        "--token-file",
    ])
    .arg(stage.path("token"))
    .stdin(writer.stdout.take().unwrap())
    .output()
    .unwrap();
    ends_with(0, &output);
    assert!(writer.wait().unwrap().success(), "the writer got SIGPIPE");
    assert_eq!(beats(&exporter)[0].message.len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_was_not_sent_is_a_failure() {
    let stage = Stage::new();
    let url = format!("http://{}", Target::refusing().await);
    let output = upkeep(&[
        "heartbeat",
        "send",
        "--retry-for=0",
        "--url",
        &url,
        "--token-file",
    ])
    .arg(stage.path("token"))
    .output()
    .unwrap();
    ends_with(1, &output);
    assert!(
        errors(&output).starts_with("upkeep_exporter: can't send the heartbeat to http://127.0.0.1:"),
        "{}",
        errors(&output)
    );
}
