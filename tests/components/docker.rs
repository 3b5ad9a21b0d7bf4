//! The docker check against podman, which serves the same API, and against servers that are not engines.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use upkeep_exporter::check::Check;
use upkeep_exporter::model::Reason;

use crate::common::podman::Podman;
use crate::common::ran::{LONG, Ran, SHORT, check, run};
use crate::common::servers::{eventually, tool};
use crate::common::targets::{Target, tls};

const STATE: &str = "upkeep_docker_container_state";
const HEALTH: &str = "upkeep_docker_container_health";
const RESTARTS: &str = "upkeep_docker_container_restarts_total";
const EXIT_CODE: &str = "upkeep_docker_container_exit_code";
const STARTED: &str = "upkeep_docker_container_started_timestamp_seconds";

/// Asserts success without a warning or a response time: the engine's time says nothing about the container.
#[track_caller]
fn up(ran: &Ran) -> &Ran {
    assert_eq!(ran.result, Some(Ok(())), "step {}", ran.report.step);
    assert_eq!(ran.report.warning, None);
    ran.without_response()
}

/// Asserts that the run succeeded with a warning about the state that contains the text.
#[track_caller]
fn warned<'r>(ran: &'r Ran, text: &str) -> &'r Ran {
    assert_eq!(ran.result, Some(Ok(())), "step {}", ran.report.step);
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, Reason::State);
    assert!(warning.message().contains(text), "{warning}");
    ran
}

/// The label whose series is 1, while all others are 0.
fn current(ran: &Ran, family: &str) -> Option<String> {
    let series = ran
        .report
        .samples
        .iter()
        .filter(|sample| sample.family.name == family);
    let set: Vec<_> = series.filter(|sample| sample.value != 0.0).collect();
    assert!(
        set.len() <= 1 && set.iter().all(|sample| sample.value == 1.0),
        "{set:?}"
    );
    set.first().map(|sample| sample.labels[0].to_string())
}

/// Repeats runs until the container has this state.
async fn until(check: &mut Check, state: &str) -> Ran {
    for _ in 0..400 {
        let ran = run!(check, LONG);
        if current(&ran, STATE).as_deref() == Some(state) {
            return ran;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not become {state}");
}

#[tokio::test]
async fn a_running_container_is_up_over_one_connection() {
    let podman = Podman::start().await;
    let id = podman.run("web", &[], "sleep 1000");
    let mut kept = check(&podman.keys("web"));
    for _ in 0..3 {
        let ran = run!(kept, LONG);
        up(&ran);
        assert_eq!(current(&ran, STATE).as_deref(), Some("running"));
        assert_eq!(
            ran.report
                .samples
                .iter()
                .filter(|s| s.family.name == STATE)
                .count(),
            7
        );
        assert_eq!(current(&ran, HEALTH), None);
        assert_eq!(ran.value(HEALTH, None), None);
        assert_eq!(ran.value(RESTARTS, None), Some(0.0));
        assert_eq!(ran.value(EXIT_CODE, None), None);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let age = now - ran.value(STARTED, None).unwrap();
        assert!((0.0..60.0).contains(&age), "started {age} s ago");
        podman.has_connections(1).await;
    }
    drop(kept);
    podman.has_connections(0).await;

    let mut fresh = check(&format!("{}, reuse_connection: false", podman.keys("web")));
    up(&run!(fresh, LONG));
    up(&run!(fresh, LONG));
    eventually("one connection at most", LONG, || async {
        (podman.connections() <= 1).then_some(())
    })
    .await;
    drop(fresh);

    // An id is accepted too, but not a short prefix that happens to match.
    up(&run!(check(&podman.keys(&id)), LONG));
    up(&run!(check(&podman.keys(&format!("\"{}\"", &id[..12]))), LONG));
    let ran = run!(check(&podman.keys(&format!("\"{}\"", &id[..4]))), LONG);
    ran.failed(Reason::Missing, "the start of the id of web (");
    assert_eq!(ran.report.samples, []);
    podman.has_connections(0).await;
}

#[tokio::test]
async fn the_health_check_decides() {
    let podman = Podman::start().await;
    podman.run_with_health("db");
    let mut db = check(&podman.keys("db"));
    let ran = run!(db, LONG);
    warned(&ran, "the health check of db has not passed ");
    assert_eq!(current(&ran, HEALTH).as_deref(), Some("starting"));
    let mut strict = check(&format!("{}, start_grace: 0s", podman.keys("db")));
    run!(strict, LONG).failed(Reason::State, "the limit is 0 s (start_grace)");

    podman.probe("db", false);
    let ran = run!(db, LONG);
    ran.failed(
        Reason::State,
        "db is unhealthy: its health check failed 1 times in a row; the last probe exited with 1 and printed \
         \"cat: can't open '/healthy': No such file or directory\"",
    );
    assert_eq!(current(&ran, HEALTH).as_deref(), Some("unhealthy"));
    assert_eq!(current(&ran, STATE).as_deref(), Some("running"));

    podman.probe("db", true);
    let ran = run!(db, LONG);
    assert_eq!(current(up(&ran), HEALTH).as_deref(), Some("healthy"));
    assert_eq!(
        ran.report
            .samples
            .iter()
            .filter(|s| s.family.name == HEALTH)
            .count(),
        3
    );
    podman.cli(&["kill", "db"]);
    let ran = until(&mut db, "exited").await;
    assert_eq!(ran.value(HEALTH, None), None, "an exited container has no health");
}

#[tokio::test]
async fn a_container_that_is_not_running_is_down() {
    let podman = Podman::start().await;
    podman.run("once", &[], "exit 3");
    let ran = until(&mut check(&podman.keys("once")), "exited").await;
    ran.failed(Reason::State, "once exited, exit code 3; see `docker logs once`");
    assert_eq!(ran.value(EXIT_CODE, None), Some(3.0));
    assert!(ran.value(STARTED, None).is_some());

    podman.run("again", &["--restart=on-failure:3"], "exit 4");
    let mut again = check(&podman.keys("again"));
    let ran = loop {
        // The policy restarts it three times.
        let ran = until(&mut again, "exited").await;
        if ran.value(RESTARTS, None) == Some(3.0) {
            break ran;
        }
    };
    ran.failed(Reason::State, "again exited, exit code 4");

    podman.run("web", &[], "sleep 1000");
    let mut web = check(&podman.keys("web"));
    up(&run!(web, LONG));
    podman.cli(&["pause", "web"]);
    let ran = run!(web, LONG);
    ran.failed(
        Reason::State,
        "web is paused: resume it with `docker unpause web`",
    );
    assert_eq!(current(&ran, STATE).as_deref(), Some("paused"));
    podman.cli(&["unpause", "web"]);
    up(&run!(web, LONG));
    podman.cli(&["kill", "web"]);
    let ran = until(&mut web, "exited").await;
    ran.failed(Reason::State, "web exited, exit code 137 (SIGKILL)");
    podman.cli(&["start", "web"]);
    up(&run!(web, LONG));
    podman.cli(&["rm", "--force", "--time=0", "web"]);
    let ran = run!(web, LONG);
    ran.failed(
        Reason::Missing,
        "has no container web: list containers with `docker ps --all`",
    );
    assert_eq!(ran.report.samples, []);

    podman.cli(&[
        "create",
        "--name=new",
        "--network=none",
        "upkeep-test",
        "/bin/sleep",
        "1",
    ]);
    let ran = run!(check(&podman.keys("new")), LONG);
    ran.failed(
        Reason::State,
        "new was created but never started: start it with `docker start new`",
    );
    assert_eq!(
        (ran.value(STARTED, None), ran.value(EXIT_CODE, None)),
        (None, None)
    );
}

#[tokio::test]
async fn a_container_in_a_restart_loop_is_down_until_it_is_stable() {
    let podman = Podman::start().await;
    let shared = tempfile::tempdir().unwrap();
    let volume = format!("--volume={}:/shared", shared.path().display());
    // The image has neither test nor [.
    let script = "cat /shared/fixed && sleep 1000; sleep 1; exit 3";
    podman.run("loop", &["--restart=always", &volume], script);
    let mut check_kept = check(&podman.keys("loop"));
    let is_loop =
        |ran: &Ran| matches!(&ran.result, Some(Err(problem)) if problem.message().contains("restart loop"));
    let begun = Instant::now();
    loop {
        let ran = run!(check_kept, LONG);
        if is_loop(&ran) {
            break;
        }
        let restarts = ran.value(RESTARTS, None).unwrap();
        let is_up = ran.result == Some(Ok(())) && ran.report.warning.is_none();
        assert!(!is_up || restarts == 0.0, "up after {restarts} restarts");
        assert!(begun.elapsed() < LONG, "{:?}", ran.result);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // In every state, for a check with a history and for a new one.
    for _ in 0..20 {
        let ran = run!(check_kept, LONG);
        assert!(matches!(ran.result, Some(Err(_))), "{:?}", ran.report.warning);
        let ran = run!(check(&podman.keys("loop")), LONG);
        assert!(matches!(ran.result, Some(Err(_))), "{:?}", ran.report.warning);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // When the cause is fixed, it becomes up again.
    std::fs::write(shared.path().join("fixed"), "").unwrap();
    let mended = Instant::now();
    loop {
        let ran = run!(check_kept, LONG);
        if ran.result == Some(Ok(())) && ran.report.warning.is_none() {
            break;
        }
        assert!(mended.elapsed() < Duration::from_secs(60), "{:?}", ran.result);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        mended.elapsed() > Duration::from_secs(8),
        "after {:?}",
        mended.elapsed()
    );
}

#[tokio::test]
async fn a_container_that_was_restarted_once_is_not_down() {
    let podman = Podman::start().await;
    // Its second run continues.
    podman.run(
        "once",
        &["--restart=always"],
        "cat /ran && sleep 1000; touch /ran; exit 1",
    );
    let mut once = check(&podman.keys("once"));
    let ran = eventually("its policy has restarted it", LONG, || async {
        let ran = run!(check(&podman.keys("once")), LONG);
        (ran.value(RESTARTS, None) == Some(1.0) && current(&ran, STATE).as_deref() == Some("running"))
            .then_some(ran)
    })
    .await;
    warned(&ran, "once was restarted by its policy ");
    warned(&run!(once, LONG), "it counts as up after it has run for 10 s");
    // A manual restart: podman keeps the count of restarts, or resets it.
    podman.cli(&["restart", "--time=0", "once"]);
    up(&run!(once, LONG));
}

#[tokio::test]
async fn an_engine_that_is_gone_or_hangs_has_its_reason_and_recovers() {
    let mut podman = Podman::start().await;
    podman.run("web", &[], "sleep 1000");
    let mut web = check(&podman.keys("web"));
    up(&run!(web, LONG));

    podman.server.signal(Signal::STOP);
    let ran = run!(web, SHORT);
    ran.hung("inspecting web at /");
    // A new connection waits in the engine's queue.
    let ran = run!(web, SHORT);
    ran.hung("inspecting web at /");
    podman.server.signal(Signal::CONT);
    up(&run!(web, LONG));
    podman.has_connections(1).await;

    podman.server.kill();
    let ran = run!(web, LONG);
    ran.failed(Reason::Refused, "Connection refused")
        .failed(Reason::Refused, "check that the engine is running (");
    podman.serve_again().await;
    up(&run!(web, LONG));
    // The engine closed the reused connection, which the next run notices.
    podman.server.kill();
    podman.serve_again().await;
    up(&run!(web, LONG));

    podman.server.kill();
    std::fs::remove_file(podman.socket()).unwrap();
    let ran = run!(web, LONG);
    ran.failed(Reason::Unreachable, "No such file or directory")
        .failed(Reason::Unreachable, "podman.socket");
    podman.serve_again().await;
    up(&run!(web, LONG));
    drop(web);
    podman.has_connections(0).await;
}

#[tokio::test]
async fn an_engine_at_a_tcp_port_is_supported() {
    let podman = Podman::start().await;
    podman.run("web", &[], "sleep 1000");
    let socket = podman.socket();
    let port = Target::serve(move |mut stream, _, _| {
        let socket = socket.clone();
        async move {
            let mut engine = UnixStream::connect(socket).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut engine).await;
            None
        }
    })
    .await;
    let keys = |name: &str| {
        format!(
            "kind: docker, container: {name}, host: \"tcp://{}\"",
            port.address
        )
    };
    let mut web = check(&keys("web"));
    up(&run!(web, LONG));
    up(&run!(web, LONG));
    assert_eq!(port.accepted(), 1);
    run!(check(&keys("nope")), LONG).failed(
        Reason::Missing,
        &format!("the engine at tcp://{} has no", port.address),
    );
    drop(web);
    port.freed().await;
}

/// A check of the container web on an engine at this port.
fn at(target: &Target) -> Check {
    check(&format!(
        "kind: docker, container: web, host: \"tcp://{}\"",
        target.address
    ))
}

#[tokio::test]
async fn servers_that_are_not_engines_have_reasons() {
    let answer =
        |head: &str, body: &str| format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for (answer, reason, text) in [
        (
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            Reason::Protocol,
            "the response is not valid HTTP",
        ),
        (
            answer("200 OK", "<html>"),
            Reason::Protocol,
            "is not the JSON of a container (expected value",
        ),
        (
            answer("200 OK", "[1]"),
            Reason::Protocol,
            "is this a Docker engine?",
        ),
        (
            answer("200 OK", r#"{"Id": "1", "Name": "/web", "State": {}}"#),
            Reason::Protocol,
            "has no state",
        ),
        (
            answer("404 Not Found", "page not found"),
            Reason::Status,
            "with 404 Not Found: \"page not found\"",
        ),
        (
            answer("403 Forbidden", "no"),
            Reason::Auth,
            "refuses GET /containers/web/json: allow it (403 \"no\")",
        ),
        (
            answer("500 Internal Server Error", r#"{"message": "disk is full"}"#),
            Reason::Status,
            "\"disk is full\"",
        ),
        (
            answer("200 OK", &" ".repeat(2 << 20)),
            Reason::Limit,
            "the response has more than 1048576 bytes",
        ),
    ] {
        let target = Target::answering(answer).await;
        let ran = run!(at(&target), LONG);
        ran.failed(reason, text).without_response();
        assert_eq!(ran.report.samples, []);
        target.freed().await;
    }
    for reset in [false, true] {
        let target = Target::closing(reset).await;
        run!(at(&target), LONG).failed(Reason::Closed, "inspecting web: ");
        target.freed().await;
    }
    let silent = Target::silent().await;
    run!(at(&silent), SHORT).hung(&format!("inspecting web at {}", silent.address));
    silent.freed().await;
    let endless = Target::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n").await;
    run!(at(&endless), LONG).failed(Reason::Limit, "the response has more than");
    endless.freed().await;
    let full = Target::full().await;
    run!(at(&full), SHORT).hung("connecting to 127.0.0.1");
    let nobody = Target::refusing().await;
    let mut refused = check(&format!("kind: docker, container: web, host: \"tcp://{nobody}\""));
    run!(refused, LONG).failed(Reason::Refused, "check that the engine is running");
    let mut unknown = check("kind: docker, container: web, host: \"tcp://engine.invalid:2375\"");
    run!(unknown, LONG).failed(Reason::Dns, "engine.invalid");
}

#[tokio::test]
async fn certificates_of_engines_are_verified() {
    let authority = tls::Authority::new("test authority");
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    for (until, reason, text) in [
        (2021, Reason::Tls, "the certificate expired on Fri, 01 Jan 2021"),
        // The server is not an engine, but the TLS handshake succeeds.
        (2099, Reason::Protocol, "is not the JSON of a container"),
    ] {
        let target = tls::serve(&authority.issue(&["127.0.0.1"], until), &[], None).await;
        let keys = format!(
            "kind: docker, container: web, host: \"tcp://{}\", tls_config: {{ ca_file: \"{}\" }}",
            target.address,
            ca.display()
        );
        let ran = run!(check(&keys), LONG);
        assert!(ran.failed(reason, text).not_after().is_some());
        target.freed().await;
    }
}

/// The socket for the inner part of the test below, which runs as nobody.
const SOCKET: &str = "UPKEEP_TEST_SOCKET";

#[tokio::test]
async fn a_socket_without_permission_has_advice() {
    const NAME: &str = "docker::a_socket_without_permission_has_advice";
    if let Ok(socket) = std::env::var(SOCKET) {
        let mut web = check(&format!(
            "kind: docker, container: web, host: \"unix://{socket}\""
        ));
        run!(web, LONG)
            .failed(Reason::Permission, "Permission denied")
            .failed(Reason::Permission, "add the user to the group docker");
        return;
    }
    // Permissions depend on the user, so the test starts itself again as nobody, from a folder that nobody can read.
    let dir = tempfile::tempdir().unwrap();
    let (program, socket) = (dir.path().join("test"), dir.path().join("engine.sock"));
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let _engine = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, mode) in [(dir.path(), 0o755), (&program, 0o755), (&socket, 0o660)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let output = Command::new(tool("setpriv", "util-linux"))
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", NAME, "--nocapture"])
        .env(SOCKET, &socket)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "as nobody: {output:?}"
    );
}

const CPU: &str = "upkeep_docker_container_cpu_seconds_total";
const MEMORY: &str = "upkeep_docker_container_memory_bytes";
const WORKING_SET: &str = "upkeep_docker_container_memory_working_set_bytes";
const MEMORY_LIMIT: &str = "upkeep_docker_container_memory_limit_bytes";
const TASKS: &str = "upkeep_docker_container_tasks";
const OOM_KILLS: &str = "upkeep_docker_container_oom_kills_total";

/// A script that fills a variable with about 40 MB, burns CPU time, and then waits.
const HOG: &str = "x=0123456789; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do x=$x$x; done; sleep 1000";

/// A docker check that does not see the processes of the engine, as in a container.
fn check_elsewhere(keys: &str) -> Check {
    let settings = std::sync::Arc::new(crate::common::config::check(keys));
    let procfs = "/nonexistent".into();
    Check::new(&settings, &upkeep_exporter::check::CheckContext::new(procfs))
}

#[tokio::test]
async fn the_resources_come_from_the_control_group_or_from_the_engine() {
    let podman = Podman::start().await;
    podman.run("hog", &["--memory=200m"], HOG);
    for make in [check, check_elsewhere] {
        // The script takes a moment. A new check reads in its first run.
        let ran = eventually("the container uses memory", LONG, || async {
            let ran = run!(make(&podman.keys("hog")), LONG);
            up(&ran);
            (ran.value(WORKING_SET, None)? > 40e6).then_some(ran)
        })
        .await;
        let value = |family| ran.value(family, None).unwrap_or_else(|| panic!("{family}"));
        assert!(value(MEMORY) >= value(WORKING_SET) && value(MEMORY) < 200.0 * 1_048_576.0);
        assert_eq!(value(MEMORY_LIMIT), 200.0 * 1_048_576.0);
        assert!(value(CPU) > 0.005, "{}", value(CPU));
        assert!((1.0..=2.0).contains(&value(TASKS)), "{}", value(TASKS));
        assert_eq!(value(OOM_KILLS), 0.0);
        assert_eq!(ran.report.running_since, ran.value(STARTED, None));
    }
    for (keys, expected) in [
        (
            "memory_below: 20MB",
            "MB of memory (memory_below: 20MB); see `docker stats hog`",
        ),
        (
            "memory_share_below: 0.1",
            "% of its memory limit of 200MB (memory_share_below: 0.1)",
        ),
        ("tasks_below: 1", "(tasks_below: 1)"),
    ] {
        // On a busy machine, a reading may take too long. Then the limits are not compared.
        let ran = eventually("a warning", LONG, || async {
            let ran = run!(check(&format!("{}, {keys}", podman.keys("hog"))), LONG);
            ran.report.warning.is_some().then_some(ran)
        })
        .await;
        let warning = ran.report.warning.as_ref().unwrap();
        assert_eq!(warning.reason, Reason::Limit);
        assert!(warning.message().contains(expected), "{warning}");
        let keys = format!("{}, {keys}, over_limit: failure", podman.keys("hog"));
        let ran = eventually("a failure", LONG, || async {
            let ran = run!(check(&keys), LONG);
            ran.result.as_ref()?.is_err().then_some(ran)
        })
        .await;
        ran.failed(Reason::Limit, expected);
    }
    let ran = run!(check(&format!("{}, resources: false", podman.keys("hog"))), LONG);
    assert_eq!(
        (ran.value(MEMORY, None), ran.value(OOM_KILLS, None)),
        (None, None)
    );

    podman.cli(&["stop", "--time=0", "hog"]);
    let ran = run!(check(&podman.keys("hog")), LONG);
    assert_eq!((ran.value(MEMORY, None), ran.report.running_since), (None, None));
}

#[tokio::test]
async fn an_oom_kill_that_a_container_survives_is_counted() {
    let podman = Podman::start().await;
    let hog = HOG.replace("22", "22 23 24 25 26");
    let script = format!("while ! cat /go; do sleep 0.1; done; ({hog}); sleep 1000");
    podman.run("greedy", &["--memory=30m", "--memory-swap=30m"], &script);
    // With a limit, it reads every 5 s.
    let mut greedy = check(&format!("{}, memory_below: 1GB", podman.keys("greedy")));
    let ran = run!(greedy, LONG);
    assert_eq!(up(&ran).value(OOM_KILLS, None), Some(0.0));
    podman.cli(&["exec", "greedy", "/bin/touch", "/go"]);
    for _ in 0..400 {
        let ran = run!(greedy, LONG);
        if up(&ran).value(OOM_KILLS, None) == Some(1.0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the kill is not counted");
}
