//! What belongs to the exporter's own command names what is looked for, and is not counted; its neighbours are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Running, real, run_until, unique};

/// A configuration with one service, called `word`, of which so many processes are right.
struct Setup {
    directory: tempfile::TempDir,
    word: String,
}

impl Setup {
    fn new(count: u32) -> Self {
        let (directory, word) = (tempfile::tempdir().unwrap(), unique());
        let text = format!(
            "services:\n  - key: {word}\n    checks: [{{ kind: process, match: {word}, min: {count}, max: {count} }}]\n"
        );
        std::fs::write(directory.path().join("upkeep.yml"), text).unwrap();
        Self { directory, word }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("upkeep.yml")
    }

    /// The command that checks the service, which names it.
    fn command(&self) -> String {
        let program = env!("CARGO_BIN_EXE_upkeep_exporter");
        let Self { word, .. } = self;
        format!("{program} check --config.file={} {word}", self.config().display())
    }

    /// Runs a command of bash, in which `$CHECK` is the command above, `$WORD` the service, `$DIR` a directory.
    fn bash(&self, command: &str) -> Output {
        let Self { word, directory } = self;
        let text = command
            .replace("$CHECK", &self.command())
            .replace("$WORD", word)
            .replace("$DIR", directory.path().to_str().unwrap());
        Command::new("bash")
            .args(["-o", "pipefail", "-c", &text])
            .output()
            .unwrap()
    }
}

#[track_caller]
fn is_up(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn who_started_the_exporter_is_not_counted() {
    let none = Setup::new(0);
    let fifo = none.directory.path().join(format!("{}.fifo", none.word));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for command in [
        "timeout 60 $CHECK",
        ": $WORD; timeout 60 sh -c '$CHECK; :'",
        "$CHECK | tee $DIR/$WORD.log",
        "$CHECK | tee $DIR/$WORD.log | cat - $DIR/$WORD.log",
        "$CHECK 2>&1 >/dev/null | tee $DIR/$WORD.err",
        "$CHECK | timeout 60 tee $DIR/$WORD.log",
        "set +o pipefail; exec 9<>$DIR/$WORD.fifo; timeout 5 cat $DIR/$WORD.fifo | $CHECK",
        "setsid --wait timeout 60 $CHECK | tee $DIR/$WORD.log",
    ] {
        is_up(&none.bash(command));
    }
}

#[test]
fn who_runs_beside_the_exporter_is_counted() {
    let one = Setup::new(1);
    for command in [
        // In the same process group, as a container's entrypoint starts them.
        "(exec -a $WORD sleep 1000) & sleep 0.3; $CHECK; code=$?; kill $!; exit $code",
        "(exec -a $WORD sleep 1000) & sleep 0.3; $CHECK | tee $DIR/$WORD.log; code=$?; kill $!; exit $code",
        // Writing into the same pipe makes it no part of the pipeline.
        "{ (exec -a $WORD sleep 1000) & sleep 0.3; $CHECK; code=$?; kill $!; exit $code; } | cat",
    ] {
        is_up(&one.bash(command));
    }
}

#[test]
fn who_quotes_the_exporters_arguments_is_not_counted() {
    let (none, one) = (Setup::new(0), Setup::new(1));
    for (setup, is_whole) in [(&none, true), (&one, false)] {
        let mut command = Command::new("bash");
        // read is a builtin, so this shell has no child.
        command.args(["-c", "read -r line", "remote"]);
        if is_whole {
            command.args(setup.command().split(' ').skip(1));
        } else {
            command.arg(&setup.word);
        }
        let running = Running::start(&mut command);
        let line = Path::new("/proc").join(running.id().to_string()).join("cmdline");
        crate::support::wait_until("it runs", || {
            std::fs::read(&line).is_ok_and(|line| line.windows(6).any(|part| part == b"remote"))
        });
        is_up(&setup.bash("$CHECK"));
    }
}

#[test]
fn a_failure_says_that_more_match() {
    let one = Setup::new(1);
    let output = one.bash("timeout 60 $CHECK --output=json");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("more started the exporter or belong to its command, and are not counted"),
        "{said}"
    );
}

#[tokio::test]
async fn excluded_processes_are_not_counted() {
    let word = unique();
    let _running = ["a", "b", "c"].map(|end| Running::sleeping(format!("{word}{end}")));
    let shared = real();
    for (exclude, count) in [
        (json!(format!("{word}A")), 2.0),
        (json!([format!("{word}a"), format!("{word}b")]), 1.0),
        (json!({"regex": format!("^{word}[ab] ")}), 1.0),
        (
            json!({"regex": [format!("^{word}A")], "match": format!("{word}c")}),
            2.0,
        ),
        (json!("1000"), 0.0),
        (json!(format!("{word}-not")), 3.0),
    ] {
        let options = json!({"match": word, "exclude": exclude, "min": 0});
        run_until(options, &shared, |ran| ran.count() == Some(count)).await;
    }
    let options = json!({"match": word, "exclude": "1000"});
    let ran = run_until(options, &shared, |ran| ran.result.is_err()).await;
    let message = format!("no process matches {word}; at least 1 expected; 3 more are left out by exclude");
    assert_eq!(ran.failure(), ("missing", message.as_str()));
}

#[tokio::test]
async fn every_expression_must_hold_in_the_command_line() {
    let word = unique();
    let _running = ["web", "web2"].map(|end| Running::sleeping(format!("{word} -Dapp={end}")));
    let shared = real();
    for (expressions, count) in [
        (json!(word), 2.0),
        (json!([format!("^{word} "), "-Dapp=web( |$)"]), 1.0),
        (json!([format!("^{word} "), "-Dapp=", " 1000$"]), 2.0),
        (json!([format!("^{word} "), "-Dapp=other"]), 0.0),
        // The name is no part of the command line.
        (json!([format!("^{word} "), "^sleep$"]), 0.0),
    ] {
        let options = json!({"cmdline_regex": expressions, "min": 0});
        run_until(options, &shared, |ran| ran.count() == Some(count)).await;
    }
}

#[tokio::test]
async fn processes_in_a_pid_namespace_below_count_unless_own_is_wanted() {
    let word = unique();
    let script = format!("exec -a {word} sleep 1000");
    let mut command = Command::new("unshare");
    // Needs root, as the rest of the suite does.
    command.args(["--pid", "--fork", "--kill-child", "bash", "-c", &script]);
    let _inner = Running::start(&mut command);
    let _outer = Running::sleeping(&word);
    let shared = real();
    let options = |namespace: &str| {
        let regex = format!("^{word} 1000$");
        json!({"cmdline_regex": regex, "pid_namespace": namespace, "min": 0})
    };
    run_until(options("any"), &shared, |ran| ran.count() == Some(2.0)).await;
    run_until(options("own"), &shared, |ran| ran.count() == Some(1.0)).await;
}
