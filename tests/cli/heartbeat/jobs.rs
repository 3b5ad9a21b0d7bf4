//! Jobs and their exit statuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Stage, accepting, beats, said};
use crate::common::targets::Target;
use crate::{ends_with, errors, out, upkeep};

#[tokio::test(flavor = "multi_thread")]
async fn the_start_and_the_end_of_a_job_are_reported() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let mut command = stage.run(&exporter.url("/"), &[], &["cat", "-", "/no/such/file"]);
    fs::write(stage.path("input"), "from standard input\n").unwrap();
    command.stdin(fs::File::open(stage.path("input")).unwrap());
    let output = command.output().unwrap();
    ends_with(1, &output);
    assert_eq!(out(&output), "from standard input\n");
    assert_eq!(errors(&output), "cat: /no/such/file: No such file or directory\n");
    let beats = beats(&exporter);
    assert_eq!(said(&beats), ["start", "1"]);
    assert!(beats[0].run_id.is_some());
    assert_eq!(beats[0].run_id, beats[1].run_id);
    assert!(beats.iter().all(|beat| beat.message.is_empty()), "{beats:?}");

    let path = exporter.url("/proxied/");
    ends_with(0, &stage.run(&path, &["--rid=mine"], &["true"]).output().unwrap());
    let received = exporter.received();
    assert!(
        received[3].starts_with("POST /proxied/api/heartbeat/") && received[3].contains("/0?rid=mine "),
        "{received:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_is_kept_and_reported() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let file = |name: &str, text: &str, mode| {
        let path = stage.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let data = file("data", "echo no\n", 0o644);
    let no_interpreter = file("no-interpreter", "#!/no/such/program\n", 0o755);
    let script = file("script", "echo \"$0 $1\"; exit 9\n", 0o755);
    let cases: [(&[&str], u8, &str); 9] = [
        (&["true"], 0, ""),
        (&["sh", "-c", "exit 255"], 255, ""),
        (&["sh", "-c", "kill -TERM $$"], 143, ""),
        (&["sh", "-c", "kill -KILL $$"], 137, ""),
        (
            &["no-such-command"],
            127,
            "can't start no-such-command: No such file or directory (os error 2); is it installed, and in PATH?",
        ),
        (&[&no_interpreter], 127, "can't start "),
        (&[&data], 126, "is it an executable file?"),
        (&["/"], 126, "can't start /: Permission denied"),
        // execvp(3) and shells run such a script with sh.
        (&[&script, "argument"], 9, ""),
    ];
    for (job, status, message) in cases {
        let before = exporter.received().len();
        let output = stage.run(&exporter.url(""), &[], job).output().unwrap();
        ends_with(status.into(), &output);
        let beats = beats(&exporter).split_off(before);
        let last = beats.last().unwrap();
        assert_eq!(last.what, status.to_string(), "{job:?}");
        if status == 9 {
            assert_eq!(out(&output), format!("{script} argument\n"));
        }
        match message {
            "" => assert_eq!((errors(&output), beats.len()), ("", 2), "{job:?}"),
            _ => {
                assert!(errors(&output).contains(message), "{}", errors(&output));
                assert!(last.message.contains(message), "{last:?}");
                assert_eq!(beats.len(), 1, "a job that can't be started did not start");
            }
        }
    }
}

/// Also if the script is found in PATH, and names no interpreter.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_without_an_interpreter_is_found_in_path() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    for (place, status) in [("bin", 9), ("work", 8)] {
        let script = stage.path(place).join("report-of-today");
        fs::create_dir(stage.path(place)).unwrap();
        fs::write(&script, format!("echo \"$1\"; exit {status}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", stage.path("bin").display());
    let output = stage
        .run(&exporter.url(""), &[], &["report-of-today", "an argument"])
        .current_dir(stage.path("work"))
        .env("PATH", path)
        .output()
        .unwrap();
    ends_with(9, &output);
    assert_eq!(out(&output), "an argument\n");
}

/// A job must run whatever is wrong with the heartbeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_usable_token_or_url_runs() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let url = exporter.url("");
    fs::write(stage.path("short"), "tooshort\n").unwrap();
    fs::write(stage.path("strange"), "with/slashes/0123456789\n").unwrap();
    let path = |name: &str| stage.path(name).into_os_string().into_string().unwrap();
    let cases: [(&[&str], &str); 7] = [
        (
            &["--url", &url, "--token-file", &path("missing")],
            "No such file or directory (os error 2); set --token-file or --token-env to the token of the check",
        ),
        (
            &["--url", &url, "--token-file", &path("short")],
            "/short: the token must have 16 to 128 characters of A-Z, a-z, 0-9, _ and -: create one with `openssl rand -hex 16`",
        ),
        (
            &["--url", &url, "--token-file", &path("strange")],
            "/strange: the token must have 16 to 128 characters",
        ),
        (
            &["--url", &url, "--token-env", "UPKEEP_TEST_UNSET"],
            "the environment variable UPKEEP_TEST_UNSET is not set",
        ),
        (&["--url", "", "--token-file", &path("token")], "--url: "),
        (
            &["--url", "http://u:p@localhost/", "--token-file", &path("token")],
            "heartbeats need a token only",
        ),
        (
            &[
                "--url",
                "http://localhost/api/heartbeat/hidden-token-0123456789",
                "--token-file",
                &path("token"),
            ],
            "other users can read a token on the command line",
        ),
    ];
    for (flags, message) in cases {
        let output = upkeep(&["heartbeat", "run"])
            .args(flags)
            .args(["--", "sh", "-c", "echo ran; exit 5"])
            .output()
            .unwrap();
        ends_with(5, &output);
        assert_eq!(out(&output), "ran\n");
        let said = errors(&output);
        assert_eq!(said.matches(message).count(), 1, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for secret in ["tooshort", "slashes", "hidden-token"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    assert_eq!(exporter.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_appears_while_the_job_runs_is_used() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    fs::rename(stage.path("token"), stage.path("later")).unwrap();
    let job = "mv \"$1/later\" \"$1/token\"";
    let output = stage.shell(&exporter.url(""), &[], job).output().unwrap();
    ends_with(0, &output);
    assert_eq!(said(&beats(&exporter)).last(), Some(&"0"));
}

#[test]
fn wrong_usage_runs_no_job() {
    for arguments in [
        &["run", "--", "echo", "ran"][..],
        &["run", "--token-file=/t"],
        &["run", "--token-file=/t", "--token-env=T", "--", "echo", "ran"],
        &["run", "--token-file=/t", "--rid=a b", "--", "echo", "ran"],
        &["run", "--token-file=/t", "--retry-for=soon", "--", "echo", "ran"],
        &["run", "--token-file=/t", "--cert-file=/c", "--", "echo", "ran"],
        &["run", "--token-file=/t", "--output=all", "--", "echo", "ran"],
        &["run", "--token-file=/t", "echo", "ran"],
        &["send", "--token-file=/t", "--start", "--fail"],
        &["send", "--token-file=/t", "--exit-status=256"],
        &["send", "--token-file=/t", "--url=ftp://localhost"],
        &["send"],
    ] {
        let output = upkeep(&[&["heartbeat"], arguments].concat()).output().unwrap();
        ends_with(64, &output);
        assert_eq!(out(&output), "", "{arguments:?}");
        assert_ne!(errors(&output), "", "{arguments:?}");
    }
}

/// The exporter hangs. The job starts at once, and the heartbeat for the start does not hide the one for the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_hangs_does_not_delay_the_job() {
    let (stage, exporter) = (Stage::new(), Target::silent().await);
    let mut child = stage
        .shell(
            &exporter.url(""),
            &["--retry-for=0"],
            "echo ran >\"$1/ran\"; exit 4",
        )
        .spawn()
        .unwrap();
    super::wait_for_file(&stage.path("ran"));
    // The heartbeat waits for a response that never comes, for some seconds.
    assert!(
        child.try_wait().unwrap().is_none(),
        "the job waited for the exporter"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}
