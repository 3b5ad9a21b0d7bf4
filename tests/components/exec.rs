//! The exec check with real programs: plugins of Debian's monitoring-plugins, and scripts that misbehave.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;
use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::config;
use upkeep_exporter::model::{Reason, Report, Shortage};

use crate::common::exporter::Exporter;
use crate::common::memcached::Memcached;
use crate::common::ran::{LONG, Ran, run};
use crate::common::servers::{eventually, tool};
use crate::common::targets::{Target, ok, tls};

/// The plugins of Debian's package monitoring-plugins-basic.
const PLUGINS: &str = "/usr/lib/nagios/plugins";

fn context() -> CheckContext {
    CheckContext::new("/proc".into()).with_supervisor(env!("CARGO_BIN_EXE_upkeep_exporter").into())
}

/// A check that may run the programs of `directory`.
fn check(directory: &Path, keys: &str) -> Check {
    check_of(&context(), directory, keys)
}

fn check_of(context: &CheckContext, directory: &Path, keys: &str) -> Check {
    let text = format!(
        "exec: {{ allowed_directories: [{}] }}\nservices: [{{ key: a, checks: [{{ kind: exec, {keys} }}] }}]\n",
        directory.display()
    );
    let loaded = config::parse(&text, "upkeep.yml").unwrap_or_else(|error| panic!("{error}"));
    let settings = Arc::clone(&loaded.config.services[0].checks[0]);
    Check::new(&settings, context)
}

async fn plugin(command: &str) -> Ran {
    tool("/usr/lib/nagios/plugins/check_dummy", "monitoring-plugins-basic");
    run!(
        check(Path::new(PLUGINS), &format!("command: [{PLUGINS}/{command}]")),
        LONG
    )
}

/// A directory with one program.
struct Script {
    dir: TempDir,
    path: PathBuf,
}

/// Writes a file in a process of its own. A file that is open for writing can't be executed (ETXTBSY), and a process that another test
/// starts at the same time would have it open for a moment.
fn write(path: &Path, text: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    let written = shell
        .args(["-c", "printf %s \"$1\" > \"$2\"", "sh", text])
        .arg(path)
        .status();
    assert!(written.unwrap().success());
}

impl Script {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        write(&path, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self { dir, path }
    }

    async fn run(&self, keys: &str, deadline: Duration) -> Ran {
        let keys = format!("command: [{}]{keys}", self.path.display());
        run!(check(self.dir.path(), &keys), deadline)
    }
}

/// The reason of a run's failure.
fn reason(ran: &Ran) -> Reason {
    ran.result.clone().unwrap().unwrap_err().reason
}

fn message(ran: &Ran) -> String {
    ran.result.clone().unwrap().unwrap_err().message().to_owned()
}

fn succeeded(ran: &Ran) {
    assert_eq!(ran.result, Some(Ok(())), "step {}", ran.report.step);
}

/// What a run says: its problem or warning.
fn said(ran: &Ran) -> String {
    match (&ran.result, &ran.report.warning) {
        (Some(Ok(())), Some(warning)) => warning.message().to_owned(),
        (Some(Err(problem)), _) => problem.message().to_owned(),
        (Some(Ok(())), None) => String::new(),
        (None, _) => "timeout".to_owned(),
    }
}

/// Commands, each with its exit status and a part of what the check says. Ports: of a web server, of a server with TLS, of memcached.
fn commands(web: u16, secure: u16, memcached: u16) -> Vec<(String, i32, &'static str)> {
    let refused = "Connection refused";
    let commands = [
        ("check_dummy, 0, fine", 0, ""),
        ("check_dummy, 1, careful", 1, "WARNING: careful"),
        ("check_dummy, 2, bad", 2, "CRITICAL: bad"),
        ("check_dummy, 3, \"?\"", 3, "UNKNOWN: ?"),
        ("check_load, -w, '1000,1000,1000', -c, '1000,1000,1000'", 0, ""),
        ("check_disk, -w, 0%, -c, 0%, -p, /", 0, ""),
        ("check_disk, -w, 101%, -c, 101%, -p, /", 2, "DISK CRITICAL"),
        ("check_procs, -c, '1:100000'", 0, ""),
        (
            "check_procs, -c, '1:', -C, no-such-program",
            2,
            "0 processes with command name",
        ),
        ("check_users, -w, 1000, -c, 2000", 0, ""),
        (
            "check_file_age, -f, /etc/passwd, -w, 1000000000, -c, 2000000000",
            0,
            "",
        ),
        ("check_file_age, -f, /nonexistent", 2, "File not found"),
        (
            "check_log, -F, /nonexistent, -O, /nonexistent, -q, x",
            3,
            "does not exist",
        ),
        ("check_cluster, --service, -l, c, -w, 1, -c, 2, -d, '0,0'", 0, ""),
        (
            "check_cluster, --service, -l, c, -w, 0, -c, 1, -d, '2,2'",
            2,
            "CLUSTER CRITICAL",
        ),
        (
            "check_mrtg, -F, /nonexistent, -a, AVG, -v, 1, -w, 1, -c, 2",
            3,
            "MRTG",
        ),
        (
            "check_nagios, -F, /nonexistent, -e, 5, -C, x",
            2,
            "Cannot open status log",
        ),
        ("check_sensors", 3, "SENSORS UNKNOWN"),
        ("negate, /usr/lib/nagios/plugins/check_dummy, 2", 0, ""),
        (
            "urlize, 'http://a.example', /usr/lib/nagios/plugins/check_dummy, 1, x",
            1,
            "WARNING: x",
        ),
        (
            "check_ping, -H, 127.0.0.1, -w, '1000,50%', -c, '2000,80%', -p, 1",
            0,
            "",
        ),
        ("check_tcp, -H, 127.0.0.1, -p, MEMCACHED", 0, ""),
        ("check_tcp, -H, 127.0.0.1, -p, 1", 2, refused),
        ("check_http, -H, 127.0.0.1, -p, WEB", 0, ""),
        (
            "check_http, -H, 127.0.0.1, -p, WEB, -s, absent",
            2,
            "'absent' not found",
        ),
        ("check_http, -H, 127.0.0.1, -p, SECURE, --ssl", 0, ""),
        ("check_ssh, -p, 1, 127.0.0.1", 2, refused),
        ("check_smtp, -H, 127.0.0.1, -p, 1", 2, ""),
        ("check_ups, -H, 127.0.0.1, -p, 1, -u, ups", 2, ""),
        ("check_nt, -H, 127.0.0.1, -p, 1, -v, UPTIME", 2, ""),
        ("check_by_ssh, -H, 127.0.0.1, -p, 1, -C, 'true'", 3, ""),
        // Links to check_tcp, which learns from its name what to check.
        ("check_ftp, -H, 127.0.0.1, -p, MEMCACHED, -e, x, -t, 2", 2, ""),
        ("check_pop, -H, 127.0.0.1, -p, 1", 2, refused),
    ];
    let filled = |command: &str| {
        command
            .replace("MEMCACHED", &memcached.to_string())
            .replace("SECURE", &secure.to_string())
            .replace("WEB", &web.to_string())
    };
    commands
        .map(|(command, status, text)| (filled(command), status, text))
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_plugins_run() {
    let web = Target::answering(ok("fine")).await;
    let secure = tls::serve(&tls::self_signed(&["127.0.0.1"]), &[], None).await;
    let memcached = Memcached::start(&[]).await;
    let (_, memcached_port) = memcached.address.rsplit_once(':').unwrap();
    let commands = commands(
        web.address.port(),
        secure.address.port(),
        memcached_port.parse().unwrap(),
    );
    let begun = Instant::now();
    let all = join_all(commands.iter().map(|(command, ..)| plugin(command))).await;
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    let mut wrong = Vec::new();
    for ((command, status, text), ran) in commands.iter().zip(&all) {
        let exit_status = ran.value("upkeep_exec_exit_status", None);
        let has_warning = ran.report.warning.is_some();
        let is_right = match (status, &ran.result) {
            (0, Some(Ok(()))) => !has_warning,
            (1, Some(Ok(()))) => has_warning,
            (2, Some(Err(problem))) => problem.reason == Reason::Status,
            (3, Some(Err(problem))) => problem.shortage == Some(Shortage::Undecided),
            _ => false,
        };
        let said = said(ran);
        if !is_right || exit_status != Some(f64::from(*status)) || !said.contains(text) {
            wrong.push(format!("{command}: {exit_status:?} {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn performance_data_is_exported() {
    let ran = plugin("check_load, -w, '1000,1000,1000', -c, '1000,1000,1000'").await;
    succeeded(&ran);
    let values = ran.report.samples.iter();
    let names: Vec<_> = values
        .filter(|sample| sample.family.name == "upkeep_exec_value")
        .map(|sample| sample.labels[0].to_string())
        .collect();
    assert_eq!(names, ["load1", "load5", "load15"]);
}

#[tokio::test]
async fn metrics_of_the_text_format_are_exported() {
    let script = Script::new("echo '# TYPE depth gauge'; echo 'depth{queue=\"a\"} 7'");
    let ran = script.run(", format: prometheus", LONG).await;
    succeeded(&ran);
    let value = &ran.report.samples[1];
    assert_eq!((value.family.name, value.value), ("upkeep_exec_value", 7.0));
    assert_eq!(value.labels, ["depth", "", "queue=\"a\""]);
}

#[tokio::test]
async fn a_program_that_hangs_or_floods_is_killed() {
    let script = Script::new("trap '' TERM; setsid -f sleep 30201; sleep 30201; :");
    let ran = script.run("", Duration::from_secs(2)).await;
    assert!(ran.result.is_none(), "its deadline passed");
    eventually("no process", LONG, || async {
        (processes("30201") == 0).then_some(())
    })
    .await;
    let script = Script::new("yes 30202");
    let ran = script.run("", LONG).await;
    assert_eq!(reason(&ran), Reason::Limit, "{}", message(&ran));
    eventually("no process", LONG, || async {
        (processes("30202") == 0).then_some(())
    })
    .await;
}

/// The number of processes with this argument.
fn processes(argument: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let has_argument = |path: &Path| {
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        command
            .split(|byte| *byte == 0)
            .any(|part| part == argument.as_bytes())
    };
    entries.filter(|entry| has_argument(&entry.path())).count()
}

#[tokio::test]
async fn a_program_that_others_can_change_does_not_run() {
    let script = Script::new("touch \"$0.ran\"");
    fs::set_permissions(&script.path, Permissions::from_mode(0o757)).unwrap();
    let ran = script.run("", LONG).await;
    assert_eq!(reason(&ran), Reason::Permission);
    assert!(message(&ran).contains("others can write to"), "{}", message(&ran));
    fs::set_permissions(&script.path, Permissions::from_mode(0o755)).unwrap();
    let keys = format!("command: [{}]", script.path.display());
    let mut check = check(script.dir.path(), &keys);
    fs::set_permissions(script.dir.path(), Permissions::from_mode(0o777)).unwrap();
    let ran = run!(check, LONG);
    assert_eq!(
        reason(&ran),
        Reason::Permission,
        "its directory is verified at every run"
    );
    fs::set_permissions(script.dir.path(), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&script.path, Permissions::from_mode(0o644)).unwrap();
    let ran = script.run("", LONG).await;
    assert_eq!(reason(&ran), Reason::Permission);
    assert!(message(&ran).contains("is not executable"), "{}", message(&ran));
    fs::remove_file(&script.path).unwrap();
    assert_eq!(reason(&script.run("", LONG).await), Reason::Missing);
    symlink("/bin/true", &script.path).unwrap();
    let ran = script.run("", LONG).await;
    assert_eq!(reason(&ran), Reason::Permission);
    assert!(message(&ran).contains("is a link to"), "{}", message(&ran));
    fs::remove_file(&script.path).unwrap();
    fs::create_dir(&script.path).unwrap();
    assert_eq!(reason(&script.run("", LONG).await), Reason::State);
    assert!(!script.dir.path().join("script.ran").exists());
}

#[tokio::test]
async fn a_program_that_crashes_or_is_no_program_fails() {
    let ran = Script::new("kill -SEGV $$").run("", LONG).await;
    assert_eq!(reason(&ran), Reason::Closed);
    assert!(
        message(&ran).ends_with("was killed by signal 11"),
        "{}",
        message(&ran)
    );
    let script = Script::new("");
    write(&script.path, "\u{7f}no program");
    let ran = script.run("", LONG).await;
    assert_eq!(reason(&ran), Reason::State, "{}", message(&ran));
}

#[tokio::test]
async fn a_program_runs_as_its_user() {
    let script = Script::new("id -u; id -g; id -G");
    fs::set_permissions(script.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let other = if is_root { "nobody" } else { "root" };
    let ran = script
        .run(&format!(", user: {other}, format: exit-code"), LONG)
        .await;
    if is_root {
        succeeded(&ran);
        let script = Script::new("test \"$(id -u) $(id -G)\" = '65534 65534' && exit 0; id; exit 2");
        fs::set_permissions(script.dir.path(), Permissions::from_mode(0o755)).unwrap();
        succeeded(&script.run(", user: 65534", LONG).await);
    } else {
        assert_eq!(reason(&ran), Reason::Permission);
        assert!(message(&ran).contains("only root can run"), "{}", message(&ran));
    }
    let ran = script.run(", user: no-such-user", LONG).await;
    assert_eq!(reason(&ran), Reason::Missing);
}

/// A program can't be started again and again while the previous one has not ended, and 32 of them are not a failure of the others.
#[tokio::test(flavor = "multi_thread")]
async fn at_most_32_programs_run_at_once() {
    let script = Script::new("sleep 30203");
    let context = context();
    let keys = format!("command: [{}]", script.path.display());
    let mut running = Vec::new();
    for _ in 0..32 {
        let mut check = check_of(&context, script.dir.path(), &keys);
        running.push(tokio::spawn(async move {
            let mut report = Report::default();
            check.run(&mut report).await
        }));
    }
    eventually("32 programs", LONG, || async {
        (processes("30203") >= 32).then_some(())
    })
    .await;
    let mut another = check_of(&context, script.dir.path(), &keys);
    let mut report = Report {
        deadline: Some(tokio::time::Instant::now() + Duration::from_secs(1)),
        ..Report::default()
    };
    let problem = another.run(&mut report).await.unwrap_err();
    assert_eq!(problem.shortage, Some(Shortage::Programs), "{problem}");
    assert!(
        problem.message().starts_with("32 other programs run"),
        "{problem}"
    );
    running.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("no program", LONG, || async {
        (processes("30203") == 0).then_some(())
    })
    .await;
    let ran = run!(another, Duration::from_secs(2));
    assert!(ran.result.is_none(), "{:?}", ran.result);
    // Without a slot, it would wait.
    assert!(
        ran.report.step.starts_with("running"),
        "the slots are free again: {}",
        ran.report.step
    );
}

/// As with a network file system that hangs: the check must report the outage at every run, not only at the first one.
#[tokio::test]
async fn a_program_that_can_not_be_killed_fails_the_next_runs() {
    // Does not end when its control socket is closed.
    let stuck = Script::new("exec sleep 20");
    let context = CheckContext::new("/proc".into()).with_supervisor(stuck.path.clone());
    let script = Script::new("exit 0");
    let keys = format!("command: [{}]", script.path.display());
    let mut check = check_of(&context, script.dir.path(), &keys);
    let ran = run!(check, Duration::from_secs(1));
    assert!(ran.result.is_none(), "{:?}", ran.result);
    let mut report = Report {
        deadline: Some(tokio::time::Instant::now() + Duration::from_secs(1)),
        ..Report::default()
    };
    let problem = check.run(&mut report).await.unwrap_err();
    assert_eq!(
        (problem.reason, problem.shortage),
        (Reason::Timeout, None),
        "{problem}"
    );
}

#[tokio::test]
async fn an_argument_that_is_a_secret_is_hidden() {
    let script = Script::new("echo \"CRITICAL: user $1 with $3|left=1\"; exit 2");
    let config = format!(
        "exec: {{ allowed_directories: [{}] }}\nservices:\n  - key: a\n    checks: [{{ kind: exec, command: [{}, me, --password, hunter2] }}]\n",
        script.dir.path().display(),
        script.path.display()
    );
    let exporter = Exporter::start(&config, &["--log.level=debug"]).await;
    let status = crate::common::servers::get(&exporter.url("/api/status"))
        .await
        .unwrap();
    assert!(status.contains("CRITICAL: user me with <secret>"), "{status}");
    let shown = crate::common::servers::get(&exporter.url("/config"))
        .await
        .unwrap();
    for text in [&status, &shown, &exporter.metrics().await, &exporter.server.log()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// With the real exporter, at the deadline of a run and when it is killed itself.
#[tokio::test]
async fn programs_end_at_the_deadline_and_with_the_exporter() {
    let script =
        Script::new("trap '' TERM HUP; setsid -f sh -c 'trap \"\" TERM; sleep 30204; :'; sleep 30204; :");
    let config = |timeout: &str| {
        format!(
            "exec: {{ allowed_directories: [{}] }}\nservices:\n  - key: a\n    checks: [{{ kind: exec, command: [{}], interval: 10m, \
             recheck_interval: 10m, timeout: {timeout} }}]\n",
            script.dir.path().display(),
            script.path.display()
        )
    };
    let exporter = Exporter::start(&config("1s"), &[]).await;
    eventually("the timeout", LONG, || async {
        exporter.server.log().contains("reason=timeout").then_some(())
    })
    .await;
    eventually("no process", LONG, || async {
        (processes("30204") == 0).then_some(())
    })
    .await;
    drop(exporter);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upkeep.yml");
    fs::write(&file, config("9m")).unwrap();
    let mut exporter = std::process::Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .arg(format!("--config.file={}", file.display()))
        .args(["--web.listen-address=127.0.0.1:0", "--control.socket="])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    eventually("both processes", LONG, || async {
        (processes("30204") >= 2).then_some(())
    })
    .await;
    exporter.kill().unwrap();
    exporter.wait().unwrap();
    eventually("no process", LONG, || async {
        (processes("30204") == 0).then_some(())
    })
    .await;
}
