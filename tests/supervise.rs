//! Tests that nothing a command started outlives the command, its deadline or the exporter, and that its output is limited.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::servers::eventually;
use tokio::time::timeout;
use upkeep_exporter::supervise::{Ended, Job, Output, RunError, Supervisor};

const LONG: Duration = Duration::from_secs(60);
const MAX_OUTPUT: usize = 64 << 10;
const MAX_ERRORS: usize = 16 << 20;

fn supervisor() -> Supervisor {
    Supervisor::new(env!("CARGO_BIN_EXE_upkeep_exporter").into())
}

fn job(command: &[&str]) -> Job {
    Job {
        command: command.iter().map(Into::into).collect(),
        environment: vec![("UPKEEP_SERVICE".to_owned(), "api".into())],
        max_output: MAX_OUTPUT,
        max_errors: MAX_ERRORS,
        max_error_tail: 200,
        ..Job::default()
    }
}

fn shell(script: &str) -> Job {
    job(&["/bin/sh", "-c", &unique(script)])
}

/// Makes the number that marks processes different from that of the same test in another process.
fn unique(text: &str) -> String {
    let marks = [
        "30101", "30102", "30103", "30104", "30105", "30107", "30108", "30109",
    ];
    match marks.iter().find(|mark| text.contains(**mark)) {
        Some(mark) => text.replace(mark, &format!("{mark}.{}", std::process::id())),
        None => text.to_owned(),
    }
}

async fn run(job: &Job) -> Result<Output, RunError> {
    timeout(LONG, supervisor().run(job, ())).await.unwrap()
}

/// The number of processes whose command line, with arguments that end with zero bytes, satisfies a condition.
fn matching(condition: impl Fn(&[u8]) -> bool) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let command = |path: &Path| fs::read(path.join("cmdline")).unwrap_or_default();
    entries.filter(|entry| condition(&command(&entry.path()))).count()
}

/// The number of processes with this argument.
fn processes(argument: &str) -> usize {
    let argument = unique(argument);
    matching(|command| {
        command
            .split(|byte| *byte == 0)
            .any(|part| part == argument.as_bytes())
    })
}

async fn until_gone(word: &str) {
    eventually(&format!("no process {word}"), LONG, || async {
        (processes(word) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_output_and_the_exit_status_are_returned() {
    let output = run(&shell("echo fine; echo careful >&2; exit 3")).await.unwrap();
    assert_eq!(output.ended, Ended::Exited(3));
    assert_eq!(output.output, b"fine\n");
    assert_eq!(output.error_tail, b"careful\n");
    assert_eq!(
        run(&shell("kill -SEGV $$")).await.unwrap().ended,
        Ended::Killed(11)
    );
    let missing = run(&job(&["/nonexistent"])).await.unwrap();
    assert_eq!(missing.ended, Ended::NotStarted(2));
    let named = Job {
        file: Some("/bin/sh".into()),
        ..job(&["a-name", "-c", "echo $0"])
    };
    assert_eq!(run(&named).await.unwrap().output, b"a-name\n");
    let limits = run(&shell("ulimit -c")).await.unwrap();
    assert_eq!(limits.output, b"0\n", "there are no core dumps");
    let directory = run(&job(&["/etc"])).await.unwrap();
    assert_eq!(directory.ended, Ended::NotStarted(13));
}

#[tokio::test]
async fn a_command_has_a_small_environment_and_no_shell() {
    let output = run(&job(&["/usr/bin/env"])).await.unwrap();
    let text = String::from_utf8(output.output).unwrap();
    let mut names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["PATH", "UPKEEP_SERVICE"]);
    let output = run(&job(&["/bin/echo", "$(id)", "*"])).await.unwrap();
    assert_eq!(output.output, b"$(id) *\n");
    let output = run(&job(&["/usr/bin/tr", "a", "b"])).await.unwrap();
    assert_eq!(output.ended, Ended::Exited(0), "its standard input is empty");
}

#[tokio::test]
async fn a_daemon_that_a_command_leaves_is_killed() {
    let output = run(&shell(
        "setsid -f sleep 30101; (trap '' TERM HUP; sleep 30101) & exit 0",
    ))
    .await
    .unwrap();
    assert_eq!(output.ended, Ended::Exited(0));
    assert_eq!(processes("30101"), 0, "they are gone when the run has ended");
}

#[tokio::test]
async fn at_the_deadline_everything_is_killed() {
    let hanging = shell("trap '' TERM; setsid -f sh -c 'trap \"\" TERM; sleep 30102; :'; sleep 30102; :");
    let begun = Instant::now();
    let result = timeout(Duration::from_secs(2), supervisor().run(&hanging, ())).await;
    assert!(result.is_err(), "{result:?}");
    assert!(begun.elapsed() < LONG);
    until_gone("30102").await;
}

/// A limit of running commands counts those that are being killed.
#[tokio::test]
async fn what_a_run_holds_is_dropped_after_everything_is_killed() {
    struct Held(tokio::sync::oneshot::Sender<usize>);
    impl Held {
        fn send(self) {
            let _ = self.0.send(processes("30108"));
        }
    }
    struct OnDrop(Option<Held>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(Held::send);
        }
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let held = OnDrop(Some(Held(sender)));
    let hanging = shell("setsid -f sleep 30108; sleep 30108");
    let running = supervisor();
    let run = tokio::spawn(async move { running.run(&hanging, held).await });
    eventually("both processes", LONG, || async {
        (processes("30108") >= 2).then_some(())
    })
    .await;
    run.abort();
    let left = timeout(LONG, receiver).await.unwrap().unwrap();
    assert_eq!(left, 0, "it was dropped before they had ended");
}

#[tokio::test]
async fn too_much_output_ends_the_command() {
    for (script, word) in [
        ("yes 30103", "30103"),
        ("setsid -f yes 30104; sleep 30104", "30104"),
        ("head -c 100000 /dev/zero; sleep 30105", "30105"),
    ] {
        let result = run(&shell(script)).await;
        assert!(
            matches!(result, Err(RunError::TooMuchOutput(_))),
            "{script}: {result:?}"
        );
        until_gone(word).await;
    }
    let noisy = run(&shell("yes 30109 >&2")).await;
    assert!(
        matches!(noisy, Err(RunError::TooMuchOutput(MAX_ERRORS))),
        "{noisy:?}"
    );
    until_gone("30109").await;
    // Only the end of the standard error is kept.
    let output = run(&shell("head -c 10000000 /dev/zero >&2; echo end >&2"))
        .await
        .unwrap();
    assert_eq!(output.error_tail.len(), 200);
    assert!(output.error_tail.ends_with(b"\0end\n"));
    let silent = Job {
        max_output: 0,
        ..shell("yes | head -c 10000000")
    };
    assert_eq!(run(&silent).await.unwrap().ended, Ended::Exited(0));
}

/// The peak memory of this process, in kB.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn ten_gigabytes_of_output_cost_neither_time_nor_memory() {
    run(&shell("true")).await.unwrap();
    let (before, begun) = (peak_memory(), Instant::now());
    for target in ["1", "2"] {
        let result = run(&shell(&format!("head -c 10000000000 /dev/zero >&{target}"))).await;
        assert!(matches!(result, Err(RunError::TooMuchOutput(_))), "{result:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Other tests of this process run at the same time.
    let grown = peak_memory() - before;
    assert!(grown < 20_000, "{grown} kB");
}

/// The name of the bomb of this process.
fn bomb_name() -> String {
    format!("bomb30106x{}x", std::process::id())
}

/// Without a limit, it would take the machine.
fn bomb() -> String {
    let name = bomb_name();
    format!("{name}() {{ {name} | {name} & }}; {name}; sleep 600")
}

/// The number of processes of the bomb.
fn bombs() -> usize {
    let name = bomb_name();
    matching(|command| command.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// The number of threads of a user, as RLIMIT_NPROC counts them.
fn threads_of(user: u32) -> u32 {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let of_user = entries.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() == user));
    let threads = of_user.filter_map(|entry| fs::read_dir(entry.path().join("task")).ok());
    u32::try_from(threads.map(Iterator::count).sum::<usize>()).unwrap()
}

/// Runs a bomb until it has created many processes, and kills it.
async fn explode(bomb: Job) {
    let running = supervisor();
    let run = tokio::spawn(async move { running.run(&bomb, ()).await });
    eventually("many processes", LONG, || async { (bombs() > 60).then_some(()) }).await;
    assert!(bombs() <= 400, "{}", bombs());
    run.abort();
    eventually("no process", LONG, || async { (bombs() == 0).then_some(()) }).await;
}

/// A control group for at most 100 processes. Only root can create one, where the control groups are writable.
struct Group(std::path::PathBuf);

impl Group {
    fn create() -> Option<Self> {
        let name = format!("upkeep-test-{}", std::process::id());
        ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].iter().find_map(|root| {
            let group = Self(Path::new(root).join(&name));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join("pids.max"), "100").ok()?;
            Some(group)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_fork_bomb_is_limited_and_killed() {
    let own = rustix::process::geteuid();
    let is_root = own.is_root();
    // The limit counts all processes of a user, and does not apply to root.
    explode(Job {
        user: is_root.then_some((65534, 65534)),
        max_processes: Some(200 + threads_of(if is_root { 65534 } else { own.as_raw() })),
        ..job(&["/bin/bash", "-c", &bomb()])
    })
    .await;
    if let Some(group) = Group::create() {
        // Without the limit, it must not explode.
        let script = format!(
            "echo $$ > {}/cgroup.procs || exit 1; {}",
            group.0.display(),
            bomb()
        );
        explode(job(&["/bin/bash", "-c", &script])).await;
    }
}

#[tokio::test]
async fn a_command_may_run_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        let job = Job {
            user: Some((0, 0)),
            ..job(&["/usr/bin/id"])
        };
        assert_eq!(
            run(&job).await.unwrap().ended,
            Ended::NotStarted(1),
            "not permitted"
        );
        return;
    }
    let job = Job {
        user: Some((65534, 65534)),
        ..job(&["/usr/bin/id"])
    };
    let text = String::from_utf8(run(&job).await.unwrap().output).unwrap();
    let expected = "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n";
    assert_eq!(text, expected);
}

/// As a killed exporter: only the kernel closes the control socket.
#[tokio::test]
async fn nothing_outlives_a_killed_exporter() {
    let (control, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args([
            "supervise",
            "--",
            "/bin/sh",
            "-c",
            &unique("setsid -f sleep 30107; sleep 30107"),
        ])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("both processes", LONG, || async {
        (processes("30107") >= 2).then_some(())
    })
    .await;
    drop(control);
    until_gone("30107").await;
    assert!(child.wait().unwrap().success());
}
