//! The results of `check` and its exit codes.

use std::fs;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::common::redis::Redis;
use crate::common::targets::{Target, ok};
use crate::{REFUSING, Services, degraded, ends_with, errors, out, refused, tcp, upkeep};

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_the_worst_status() {
    let target = Target::answering(ok("fine")).await;
    let up = tcp("good", target.address);
    for (services, code, summary) in [
        (vec![up.clone()], 0, "1 service: 1 up"),
        (
            vec![up.clone(), degraded("so-so")],
            1,
            "2 services: 1 up, 1 degraded",
        ),
        (
            vec![refused("bad"), up, degraded("so-so")],
            2,
            "3 services: 1 up, 1 degraded, 1 down",
        ),
    ] {
        let output = Services::of(&services).check(&[]);
        ends_with(code, &output);
        assert_eq!(out(&output).lines().last(), Some(summary));
        assert_eq!(errors(&output), "", "no progress without a terminal");
    }
}

#[test]
fn wrong_usage_and_invalid_configurations_are_64() {
    let services = Services::of(&[refused("database"), refused("web")]);
    for (arguments, said) in [
        (
            &["databse"][..],
            "unknown service databse: did you mean database?",
        ),
        (&["web", "xyz"], "unknown service xyz: write one of database, web"),
        (&["--watch=0"], "--watch"),
        (&["--watch", "30"], "\nto set the interval, write --watch=30\n"),
        (&["--output=xml"], "possible values: table, json, csv"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let output = services.check(arguments);
        ends_with(64, &output);
        assert!(errors(&output).contains(said), "{}", errors(&output));
        assert_eq!(out(&output), "");
    }
    let bad = Services::written("services:\n  - key: a\n    url: http://a/\n    intervall: 5s\n");
    let output = bad.check(&[]);
    ends_with(64, &output);
    assert!(
        errors(&output)
            .contains("upkeep.yml:4:5: services[0].intervall: unknown key: did you mean interval?"),
        "{}",
        errors(&output)
    );
    let modules = Services::written("modules: { http_2xx: { prober: http } }\n");
    let output = modules.check(&[]);
    ends_with(64, &output);
    assert!(
        errors(&output)
            .contains("the configuration has no services to check; modules are used by /probe only"),
        "{}",
        errors(&output)
    );
    ends_with(
        64,
        &upkeep(&["check", "--config.file=/no/such/file"])
            .output()
            .unwrap(),
    );
}

#[test]
fn an_impacted_service_names_its_root_cause() {
    let services = Services::of(&[
        format!("depends_on: [web], {}", refused("api")),
        format!("depends_on: [database], {}", refused("web")),
        refused("database"),
    ]);
    let output = services.check(&[]);
    ends_with(2, &output);
    let table = out(&output);
    assert_eq!(table.matches("impacted: database is down").count(), 2, "{table}");
    let output = services.check(&["api"]);
    assert!(!out(&output).contains("impacted"), "the others were not checked");
}

#[test]
fn a_result_that_can_not_be_written_is_unknown() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let services = Services::of(&[degraded("a")]);
    let output = services.command(&[]).stdout(full).output().unwrap();
    ends_with(3, &output);
    assert!(
        errors(&output).contains("writing to standard output"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_services_are_checked() {
    let (first, second) = (Target::answering(ok("")).await, Target::answering(ok("")).await);
    // A response, unlike a connection, comes only after the target has counted.
    let http = |key: &str, target: &Target| {
        let url = target.url("/");
        format!("key: {key}, checks: [{{ kind: http, url: \"{url}\" }}]")
    };
    let services = Services::of(&[
        format!("name: First One, {}", http("first", &first)),
        http("second", &second),
    ]);
    for word in ["first", "first one"] {
        let output = services.check(&[word]);
        ends_with(0, &output);
        assert!(out(&output).contains("First One") && !out(&output).contains("second"));
    }
    assert_eq!((first.accepted(), second.accepted()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_decides_whatever_failures_before_down_is() {
    let service =
        format!("key: a, failures_before_down: 5, checks: [{{ kind: tcp, address: \"{REFUSING}\" }}]");
    ends_with(2, &Services::of(&[service]).check(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hanging_target_has_its_own_deadline() {
    let silent = Target::silent().await;
    let hanging = |key: &str, timeout: &str| {
        format!(
            "key: {key}, checks: [{{ kind: http, url: \"{}\", timeout: {timeout}, \
             thresholds: {{ degraded: 100ms, down: 200ms }} }}]",
            silent.url("/")
        )
    };
    let services = Services::of(&[hanging("short", "300ms"), hanging("long", "1500ms"), refused("c")]);
    let begun = Instant::now();
    let output = services.check(&["--output=json"]);
    let took = begun.elapsed();
    ends_with(2, &output);
    assert!(
        took >= Duration::from_millis(1_500) && took < Duration::from_secs(10),
        "{took:?}"
    );
    let document: serde_json::Value = serde_json::from_str(out(&output)).unwrap();
    for (service, timeout) in [(0, "300ms"), (1, "1s500ms")] {
        let check = &document["services"][service]["checks"][0];
        assert_eq!(check["reason"], "timeout");
        let message = check["message"].as_str().unwrap();
        let expected = format!("timed out after {timeout} while waiting for the response");
        assert_eq!(message, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_services_are_checked_with_bounded_concurrency() {
    const RUN: Duration = Duration::from_millis(100);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // The kernel retries a connection a second later if the backlog is full.
    let listener = socket.listen(1_024).unwrap();
    let address = listener.local_addr().unwrap();
    let open = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (now, peak) = (open.clone(), most.clone());
    tokio::spawn(async move {
        use std::sync::atomic::Ordering::Relaxed;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let now = now.clone();
            peak.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                tokio::time::sleep(RUN).await;
                now.fetch_sub(1, Relaxed);
                let _ = stream.write_all(&ok("")).await;
            });
        }
    });
    let services: Vec<String> = (0..1_000)
        .map(|number| format!("key: s{number}, checks: [{{ kind: http, url: \"http://{address}/\" }}]"))
        .collect();
    let begun = Instant::now();
    let output = Services::of(&services).check(&[]);
    let took = begun.elapsed();
    ends_with(0, &output);
    assert!(out(&output).ends_with("1000 services: 1000 up\n"));
    // Sequentially, they would take 100 s.
    assert!(took < Duration::from_secs(30), "{took:?}");
    let most = most.load(std::sync::atomic::Ordering::Relaxed);
    assert!((100..=256).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_make_check_slower_not_wrong() {
    let target = Target::slow(Duration::from_millis(200)).await;
    let services: Vec<String> = (0..150)
        .map(|number| {
            let url = target.url("/");
            format!("key: s{number}, checks: [{{ kind: http, url: \"{url}\" }}]")
        })
        .collect();
    let services = Services::of(&services);
    let command = services.command(&[]);
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    assert!(
        out(&output).ends_with("150 services: 150 up\n"),
        "{}{}",
        out(&output),
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_redis_is_up_until_it_is_killed() {
    let mut redis = Redis::start(&[]).await;
    let services = Services::of(&[format!(
        "key: cache, name: Redis, group: Infrastructure, checks: [{{ kind: redis, url: \"redis://127.0.0.1:{}\" }}]",
        redis.port()
    )]);
    let output = services.check(&[]);
    ends_with(0, &output);
    assert!(
        out(&output).contains("\nInfrastructure 1/1\n"),
        "{}",
        out(&output)
    );
    redis.kill();
    let output = services.check(&[]);
    ends_with(2, &output);
    assert!(
        out(&output).contains("redis: refused: ") && out(&output).contains("\nInfrastructure 0/1\n"),
        "{}",
        out(&output)
    );
}
