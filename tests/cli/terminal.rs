//! Output on a real pseudo-terminal: colours, progress, width.

use std::process::{Command, Stdio};

use crate::common::servers::tool;
use crate::common::targets::{Target, ok};
use crate::{Services, refused, tcp};

/// Runs a command on a terminal with this many columns. Returns the output and the exit code.
fn run_on_terminal(columns: u16, command: &Command, variables: &[(&str, &str)]) -> (String, i32) {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let mut line = format!(
        "stty cols {columns} rows 24; exec {}",
        quoted(command.get_program())
    );
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    let output = Command::new(tool("script", "bsdutils"))
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::null())
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_are_coloured_and_lines_are_as_wide_as_the_terminal() {
    let target = Target::answering(ok("")).await;
    let services = Services::of(&[tcp("good", target.address), refused("bad")]);
    let (seen, code) = run_on_terminal(40, &services.command(&[]), &[]);
    assert_eq!(code, 2);
    assert!(
        seen.contains("\u{1b}[32mup") && seen.contains("\u{1b}[31mdown"),
        "{seen:?}"
    );
    assert!(
        !seen.contains("waiting for"),
        "a short round shows no progress: {seen:?}"
    );
    let plain = anstream::adapter::strip_str(&seen).to_string();
    assert!(plain.contains("tcp: refused: connecting"), "{plain}");
    for line in plain.lines() {
        assert!(line.trim_end().chars().count() <= 40, "{line}");
    }
    for (arguments, variables) in [(&["--color=never"][..], &[][..]), (&[], &[("NO_COLOR", "1")])] {
        let (seen, _) = run_on_terminal(80, &services.command(arguments), variables);
        assert!(!seen.contains("\u{1b}[3"), "{seen:?}");
    }
    let forced = run_on_terminal(80, &services.command(&["--color=always"]), &[("NO_COLOR", "1")]).0;
    assert!(forced.contains("\u{1b}[31mdown"), "{forced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_names_running_checks_and_is_erased() {
    let silent = Target::silent().await;
    let services = Services::of(&[
        refused("quick"),
        format!(
            "key: stuck, checks: [{{ kind: http, url: \"{}\", timeout: 1500ms, \
             thresholds: {{ degraded: 100ms, down: 200ms }} }}]",
            silent.url("/")
        ),
    ]);
    let (seen, code) = run_on_terminal(80, &services.command(&[]), &[]);
    assert_eq!(code, 2);
    let progress = seen.rfind("1 of 2 checks").expect(&seen);
    assert!(seen[progress..].contains("waiting for stuck/http"), "{seen:?}");
    let left = final_screen(&seen);
    assert!(left.starts_with("default\n  down "), "{left}\n{seen:?}");
    assert!(!left.contains("waiting for stuck"), "{left}");
}

/// The final content of a terminal after lines were overwritten and erased (ECMA-48: CR, EL, SGR).
fn final_screen(seen: &str) -> String {
    let mut lines = vec![String::new()];
    let mut column = 0;
    let mut rest = seen.chars();
    while let Some(letter) = rest.next() {
        let line = lines.last_mut().unwrap();
        match letter {
            '\r' => column = 0,
            '\n' => {
                lines.push(String::new());
                column = 0;
            }
            '\u{1b}' => {
                let sequence: String = rest
                    .by_ref()
                    .take_while(|letter| !letter.is_alphabetic())
                    .collect();
                // The final letter is already consumed. Only EL has these parameters here.
                if sequence == "[2" || sequence == "[" {
                    line.clear();
                }
            }
            letter => {
                let kept: String = line.chars().take(column).collect();
                let after: String = line.chars().skip(column + 1).collect();
                *line = format!("{kept:column$}{letter}{after}");
                column += 1;
            }
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_round_replaces_the_previous_one() {
    let target = Target::answering(ok("")).await;
    let services = Services::of(&[tcp("good", target.address)]);
    let command = services.command(&["--watch=0.1"]);
    // `timeout` sends SIGINT, as Ctrl-C does.
    let mut timed = Command::new("timeout");
    timed
        .args(["--preserve-status", "--signal=INT", "2"])
        .arg(command.get_program())
        .args(command.get_args());
    let (seen, code) = run_on_terminal(80, &timed, &[]);
    assert_eq!(code, 0, "{seen}");
    let rounds = seen.matches("\u{1b}[H\u{1b}[2J").count();
    assert!(rounds >= 3, "{seen:?}");
    assert_eq!(seen.matches("every 0.1 s; press Ctrl-C to stop").count(), rounds);
}
