//! `--watch`: rounds until interrupted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::redis::Redis;
use crate::common::servers::eventually;
use crate::common::switchable::Switchable;
use crate::common::targets::{Target, ok};
use crate::{Services, ends_with, errors, refused, tcp};

const LONG: Duration = Duration::from_secs(20);

/// Waits for the exit code.
async fn exit_code(child: &mut Child) -> Option<i32> {
    let status = eventually("the end", LONG, || {
        let ended = child.try_wait().unwrap();
        async move { ended }
    });
    status.await.code()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_follow_a_target_and_the_last_one_sets_the_exit_code() {
    let mut target = Switchable::start().await;
    let services = Services::of(&[tcp("a", target.address)]);
    let mut child = services
        .command(&["--watch=0.2", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut round = || {
        let line = lines.next().unwrap().unwrap();
        let document: serde_json::Value = serde_json::from_str(&line).unwrap();
        document["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((round(), round()), ("up".to_owned(), "up".to_owned()));
    target.stop().await;
    let begun = Instant::now();
    while round() != "down" {
        assert!(begun.elapsed() < LONG);
    }
    interrupt(&child);
    assert_eq!(exit_code(&mut child).await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_are_separate_tables_or_rows_under_one_header() {
    let target = Target::answering(ok("")).await;
    let services = Services::of(&[tcp("a", target.address)]);
    for (form, marks) in [
        ("table", ["every 0.2 s", "1 service: 1 up"]),
        ("csv", ["Z,default,a,", ",up,"]),
    ] {
        let mut child = services
            .command(&["--watch=0.2", "-o", form])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while marks.iter().any(|mark| text.matches(mark).count() < 3) {
            assert!(reader.read_line(&mut text).unwrap() > 0, "{text}");
        }
        interrupt(&child);
        assert_eq!(exit_code(&mut child).await, Some(0));
        reader.read_to_string(&mut text).unwrap();
        assert!(
            !text.contains('\u{1b}'),
            "output to a pipe has no escape sequences"
        );
        let headers = text.matches("generated_at").count();
        assert_eq!(headers, usize::from(form == "csv"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_reused_from_round_to_round() {
    let redis = Redis::start(&[]).await;
    let connections = || -> u64 {
        let info = redis.cli(&["info", "stats"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse().unwrap()
    };
    let services = Services::of(&[format!(
        "key: a, checks: [{{ kind: redis, url: \"redis://127.0.0.1:{}\" }}]",
        redis.port()
    )]);
    let before = connections();
    let mut child = services
        .command(&["--watch=0.2", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..4 {
        let round = lines.next().unwrap().unwrap();
        assert!(round.contains("\"status\":\"up\""), "{round}");
    }
    // One connection is that of redis-cli.
    assert_eq!(connections() - before - 1, 1, "in four rounds");
    interrupt(&child);
    assert_eq!(exit_code(&mut child).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_before_the_first_result_is_unknown() {
    let silent = Target::silent().await;
    let services = Services::of(&[format!(
        "key: a, checks: [{{ kind: http, url: \"{}\", timeout: 30s }}]",
        silent.url("/")
    )]);
    for arguments in [&[][..], &["--watch"]] {
        let before = silent.accepted();
        let mut child = services
            .command(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        eventually("the run", LONG, || async {
            (silent.accepted() > before).then_some(())
        })
        .await;
        interrupt(&child);
        let begun = Instant::now();
        assert_eq!(exit_code(&mut child).await, Some(3));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_the_command_quietly() {
    let services = Services::of(&[refused("a")]);
    for arguments in [&["--watch=0.1"][..], &[]] {
        let mut child = services
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(exit_code(&mut child).await, Some(2));
        let output = child.wait_with_output().unwrap();
        ends_with(2, &output);
        assert_eq!(errors(&output), "");
    }
}
