//! Processes of the exporter's own command are not counted, although their command lines match. Their siblings are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Running, real, run_until, unique};

/// A configuration with one service called `word`, which expects exactly `count` processes.
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

    /// The command that checks the service. Its command line contains the service's name.
    fn command(&self) -> String {
        let program = env!("CARGO_BIN_EXE_upkeep_exporter");
        let Self { word, .. } = self;
        format!("{program} check --config.file={} {word}", self.config().display())
    }

    /// Runs a bash command. `$CHECK` is the command above, `$WORD` the service, `$DIR` a directory.
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
fn assert_up(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn ancestors_and_the_pipeline_are_not_counted() {
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
        assert_up(&none.bash(command));
    }
}

#[test]
fn siblings_of_the_exporter_are_counted() {
    let one = Setup::new(1);
    for command in [
        // In the same process group, as if a container's entrypoint had started them.
        "(exec -a $WORD sleep 1000) & sleep 0.3; $CHECK; code=$?; kill $!; exit $code",
        "(exec -a $WORD sleep 1000) & sleep 0.3; $CHECK | tee $DIR/$WORD.log; code=$?; kill $!; exit $code",
        // A process that writes into the same pipe is not a part of the pipeline.
        "{ (exec -a $WORD sleep 1000) & sleep 0.3; $CHECK; code=$?; kill $!; exit $code; } | cat",
    ] {
        assert_up(&one.bash(command));
    }
}

#[test]
fn processes_with_all_arguments_of_the_exporter_are_not_counted() {
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
        assert_up(&setup.bash("$CHECK"));
    }
}

#[test]
fn a_failure_reports_uncounted_processes() {
    let one = Setup::new(1);
    let output = one.bash("timeout 60 $CHECK --output=json");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("more are not counted because they started the exporter or belong to its command"),
        "{text}"
    );
}

#[tokio::test]
async fn excluded_processes_are_not_counted() {
    let word = unique();
    let _running = ["a", "b", "c"].map(|end| Running::sleeping(format!("{word}{end}")));
    let context = real();
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
        run_until(options, &context, |ran| ran.count() == Some(count)).await;
    }
    let options = json!({"match": word, "exclude": "1000"});
    let ran = run_until(options, &context, |ran| ran.result.is_err()).await;
    let message = format!("no process matches {word}; at least 1 expected; 3 more match, but are excluded");
    assert_eq!(ran.failure(), ("missing", message.as_str()));
}

#[tokio::test]
async fn every_expression_must_match_the_command_line() {
    let word = unique();
    let _running = ["web", "web2"].map(|end| Running::sleeping(format!("{word} -Dapp={end}")));
    let context = real();
    for (expressions, count) in [
        (json!(word), 2.0),
        (json!([format!("^{word} "), "-Dapp=web( |$)"]), 1.0),
        (json!([format!("^{word} "), "-Dapp=", " 1000$"]), 2.0),
        (json!([format!("^{word} "), "-Dapp=other"]), 0.0),
        // The name is not part of the command line.
        (json!([format!("^{word} "), "^sleep$"]), 0.0),
    ] {
        let options = json!({"cmdline_regex": expressions, "min": 0});
        run_until(options, &context, |ran| ran.count() == Some(count)).await;
    }
}

#[tokio::test]
async fn processes_in_a_child_pid_namespace_count_unless_own_is_set() {
    let word = unique();
    let script = format!("exec -a {word} sleep 1000");
    let mut command = Command::new("unshare");
    // Needs root, like the rest of the suite.
    command.args(["--pid", "--fork", "--kill-child", "bash", "-c", &script]);
    let _inner = Running::start(&mut command);
    let _outer = Running::sleeping(&word);
    let context = real();
    let options = |namespace: &str| {
        let regex = format!("^{word} 1000$");
        json!({"cmdline_regex": regex, "pid_namespace": namespace, "min": 0})
    };
    run_until(options("any"), &context, |ran| ran.count() == Some(2.0)).await;
    run_until(options("own"), &context, |ran| ran.count() == Some(1.0)).await;
}
