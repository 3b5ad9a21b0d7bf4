//! Process checks with unusual real processes.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Running, copy_program, real, run_once, run_until, unique, wait_until};

/// A copy of sleep(1) under another name, with its directory.
fn own_sleep(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    copy_program("/bin/sleep".as_ref(), &path);
    (directory, path)
}

/// The state letter of a process.
fn state(id: u32) -> Option<u8> {
    let text = fs::read(format!("/proc/{id}/stat")).ok()?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    text.get(close + 2).copied()
}

#[tokio::test]
async fn zombies_are_reported_but_not_counted() {
    let word = unique();
    let (_directory, path) = own_sleep(&word);
    let zombie = Running::start(Command::new(path).arg("0"));
    wait_until("the process is a zombie", || state(zombie.id()) == Some(b'Z'));
    let ran = run_once(json!({"match": word}), &real()).await;
    assert_eq!(ran.count(), Some(0.0));
    let expected = format!(
        "no process matches {word}; at least 1 expected; 1 more ended, but their parent has not reaped them"
    );
    assert_eq!(ran.failure(), ("missing", expected.as_str()));
}

#[tokio::test]
async fn a_process_whose_first_thread_ended_is_counted() {
    let word = unique();
    let program = "import ctypes, sys, threading, time\n\
        files = [open('/dev/null') for _ in range(30)]\n\
        threading.Thread(target=time.sleep, args=(1000,)).start()\n\
        print(sys.executable, flush=True)\n\
        ctypes.CDLL(None).pthread_exit(None)";
    let mut command = Command::new("python3");
    let mut running = Running::start_with_output(command.args(["-c", program, &word]));
    let mut python = String::new();
    BufReader::new(running.0.stdout.take().unwrap())
        .read_line(&mut python)
        .unwrap();
    wait_until("its first thread has ended", || state(running.id()) == Some(b'Z'));
    let ran = run_once(json!({"match": word, "exe": python.trim()}), &real()).await;
    assert_eq!(ran.result, Ok(()));
    assert!(ran.value("process_open_fds") >= Some(30.0), "{ran:?}");
    assert!(ran.value("process_resident_memory_bytes") > Some(1e6), "{ran:?}");
}

#[tokio::test]
async fn finds_names_that_are_not_utf8_and_names_with_parentheses() {
    let word = unique();
    let _one = Running::sleeping(OsStr::from_bytes(&[word.as_bytes(), b"\xff\xc3("].concat()));
    let (_directory, path) = own_sleep("a) R (b");
    let _two = Running::start(Command::new(path).arg("1000").arg0(&word));
    let context = real();
    run_until(json!({"match": word}), &context, |ran| ran.count() == Some(2.0)).await;
    let ran = run_once(json!({"regex": format!(r"{word}\x{{FFFD}}.\(")}), &context).await;
    assert_eq!(ran.count(), Some(1.0));
    let ran = run_once(json!({"match": word, "regex": r"^a\) R \(b$"}), &context).await;
    assert_eq!(ran.count(), Some(1.0));
}

#[tokio::test]
async fn reads_the_first_128_kib_of_a_command_line() {
    let (early, late) = (unique(), unique());
    let mut command = Command::new("bash");
    // read is a builtin, so this shell has no child that could outlive it.
    command.args(["-c", "read -r line"]);
    let filler = "x".repeat(10_000);
    command.args(std::iter::repeat_n(&filler, 12)).arg(&early);
    command.args(std::iter::repeat_n(&filler, 12)).arg(&late);
    let _running = Running::start(&mut command);
    let context = real();
    run_until(json!({"match": early}), &context, |ran| ran.result.is_ok()).await;
    assert_eq!(
        run_once(json!({"match": late}), &context).await.failure().0,
        "missing"
    );
}

#[tokio::test]
async fn finds_a_changed_command_line_of_a_running_process() {
    let (before, after) = (unique(), unique());
    let mut command = Command::new("bash");
    command.args(["-c", "read -r line; exec -a \"$NAME\" sleep 1000", &before]);
    let mut running = Running::start(command.env("NAME", &after).stdin(Stdio::piped()));
    let context = real();
    run_until(json!({"match": before}), &context, |ran| ran.result.is_ok()).await;
    assert!(run_once(json!({"match": after}), &context).await.result.is_err());
    running.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    run_until(json!({"match": after}), &context, |ran| ran.result.is_ok()).await;
    assert!(run_once(json!({"match": before}), &context).await.result.is_err());
}

#[tokio::test]
async fn an_executable_is_found_by_path_by_link_and_after_its_replacement() {
    let (directory, path) = own_sleep("program");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let _running = Running::start(Command::new(&path).arg("1000"));
    let context = real();
    run_until(json!({"exe": path}), &context, |ran| ran.count() == Some(1.0)).await;
    assert_eq!(run_once(json!({"exe": link}), &context).await.count(), Some(1.0));
    fs::remove_file(&path).unwrap();
    assert_eq!(run_once(json!({"exe": path}), &context).await.count(), Some(1.0));
    assert_eq!(
        run_once(json!({"exe": directory.path().join("other")}), &context)
            .await
            .count(),
        Some(0.0)
    );
}

#[tokio::test]
async fn users_are_distinguished() {
    let word = unique();
    let mut command = Command::new("sleep");
    // Needs root, like the rest of the suite.
    let _running = Running::start(command.arg("1000").arg0(&word).uid(65_534).gid(65_534));
    let context = real();
    run_until(json!({"match": word, "user": "nobody"}), &context, |ran| {
        ran.result.is_ok()
    })
    .await;
    assert_eq!(
        run_once(json!({"match": word, "user": 65_534}), &context)
            .await
            .count(),
        Some(1.0)
    );
    assert_eq!(
        run_once(json!({"match": word, "user": "root"}), &context)
            .await
            .count(),
        Some(0.0)
    );

    let ran = run_once(json!({"match": word, "user": "no-such-user"}), &context).await;
    let message =
        "no user no-such-user in /etc/passwd; set the numeric id of a user that is defined elsewhere";
    assert_eq!(ran.failure(), ("missing", message));
}

#[tokio::test]
async fn processes_that_start_and_end_do_not_disturb_scans() {
    let word = unique();
    let _running = Running::sleeping(&word);
    let context = real();
    run_until(json!({"match": word}), &context, |ran| ran.result.is_ok()).await;
    let _storm: Vec<Running> = (0..2)
        .map(|_| Running::start(Command::new("bash").args(["-c", "while :; do /bin/true; done"])))
        .collect();
    // An expression that matches everything reads the details of all processes.
    for _ in 0..100 {
        let ran = run_once(json!({"regex": ".", "max": 1}), &context).await;
        assert_eq!(ran.failure().0, "limit");
        assert!(
            ran.value("process_open_fds").is_some() && ran.value("process_max_fds").is_some(),
            "{ran:?}"
        );
        let ran = run_once(json!({"match": word, "min": 2}), &context).await;
        assert_eq!(
            ran.failure(),
            (
                "missing",
                &*format!("1 process matches {word}; at least 2 expected")
            )
        );
    }
}
