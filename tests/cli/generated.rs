//! Completions in real shells, manual pages in a real formatter, and the help.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::common::servers::tool;
use crate::{ends_with, errors, out, upkeep};

#[test]
fn bash_loads_the_completions_and_completes() {
    let script = upkeep(&["completions", "bash"]).output().unwrap();
    ends_with(0, &script);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upkeep_exporter.bash");
    fs::write(&file, &script.stdout).unwrap();
    let test = "source \"$1\" && complete -p upkeep_exporter && \
                COMP_WORDS=(upkeep_exporter check --out) COMP_CWORD=2 && \
                _upkeep_exporter upkeep_exporter --out check && echo \"got ${COMPREPLY[*]}\" && \
                COMP_WORDS=(upkeep_exporter st) COMP_CWORD=1 && \
                _upkeep_exporter upkeep_exporter st upkeep_exporter && echo \"got ${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-c", test, "bash"])
        .arg(&file)
        .output()
        .unwrap();
    ends_with(0, &output);
    assert!(out(&output).contains("-F _upkeep_exporter"), "{}", out(&output));
    assert!(out(&output).contains("got --output\n"), "{}", out(&output));
    assert!(out(&output).contains("got status\n"), "{}", out(&output));
    assert_eq!(errors(&output), "");
}

#[test]
fn fish_loads_the_completions_and_completes() {
    let script = upkeep(&["completions", "fish"]).output().unwrap();
    ends_with(0, &script);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upkeep_exporter.fish");
    fs::write(&file, &script.stdout).unwrap();
    let complete = |typed: &str| {
        let output = Command::new(tool("fish", "fish"))
            .args([
                "--no-config",
                "--command",
                "source $argv[1]; complete -C $argv[2]",
            ])
            .arg(&file)
            .arg(typed)
            .env("HOME", dir.path())
            .output()
            .unwrap();
        ends_with(0, &output);
        assert_eq!(errors(&output), "");
        // A word, then a tab and its description.
        let words = out(&output)
            .lines()
            .map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(complete("upkeep_exporter stat"), ["status"]);
    assert_eq!(complete("upkeep_exporter --config.f"), ["--config.file"]);
    assert_eq!(complete("upkeep_exporter check --outp"), ["--output"]);
    assert_eq!(complete("upkeep_exporter check --output j"), ["json"]);
}

#[test]
fn zsh_loads_the_completions() {
    let script = upkeep(&["completions", "zsh"]).output().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("_upkeep_exporter");
    fs::write(&file, &script.stdout).unwrap();
    let test = "fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D && \
                autoload -Uz +X _upkeep_exporter && echo \"by $_comps[upkeep_exporter]\"";
    let output = Command::new(tool("zsh", "zsh"))
        .args(["-f", "-c", test, "zsh"])
        .arg(dir.path())
        .env("HOME", dir.path())
        .output()
        .unwrap();
    ends_with(0, &output);
    assert_eq!((out(&output), errors(&output)), ("by _upkeep_exporter\n", ""));
    assert!(
        Command::new("zsh")
            .arg("-n")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = upkeep(&["completions", shell]).output().unwrap();
        ends_with(0, &script);
        assert!(out(&script).contains("check-config"), "{shell}");
    }
    ends_with(64, &upkeep(&["completions", "csh"]).output().unwrap());
}

#[test]
fn every_manual_page_is_formatted_without_a_warning() {
    let groff = tool("groff", "groff-base");
    let man = tool("man", "man-db");
    let dir = tempfile::tempdir().unwrap();
    let pages = upkeep(&["man", "--output-dir"]).arg(dir.path()).output().unwrap();
    ends_with(0, &pages);
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort_unstable();
    for name in [
        "upkeep_exporter",
        "upkeep_exporter-check",
        "upkeep_exporter-service-start",
    ] {
        let page = fs::read(dir.path().join(format!("{name}.1"))).unwrap();
        let words = name.split('-').skip(1);
        let printed = upkeep(&["man"]).args(words).output().unwrap();
        assert!(printed.stdout == page, "{name}");
    }
    for name in &names {
        let file = dir.path().join(format!("{name}.1"));
        let formatted = Command::new(&groff)
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(&file)
            .output()
            .unwrap();
        ends_with(0, &formatted);
        assert_eq!(errors(&formatted), "", "{name}");
        let shown = Command::new(&man)
            .args(["--warnings", "--local-file"])
            .arg(&file)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        ends_with(0, &shown);
        assert_eq!(errors(&shown), "", "{name}");
        assert!(
            out(&shown).contains(name.as_str()) && out(&shown).contains("SYNOPSIS"),
            "{}",
            out(&shown)
        );
    }
    let output = upkeep(&["man", "chek"]).output().unwrap();
    ends_with(64, &output);
    assert_eq!(errors(&output), "unknown command chek: did you mean check?\n");
}

#[test]
fn the_help_has_commands_then_groups_then_examples() {
    for flag in ["-h", "--help"] {
        let help = upkeep(&[flag]).output().unwrap();
        ends_with(0, &help);
        let mut from = 0;
        for heading in [
            "\nUsage:",
            "\nCommands:\n  check ",
            "\nConfiguration:\n",
            "\nWeb:\n",
            "\nState:\n",
            "\nLogging:\n",
            "\nExamples:\n",
            "docs/COMMAND-LINE.md",
        ] {
            let found = out(&help)[from..].find(heading);
            from += found.unwrap_or_else(|| panic!("{heading:?} is not in its place in:\n{}", out(&help)));
        }
        for line in out(&help).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
    for command in ["check", "status"] {
        let help = upkeep(&[command, "--help"]).output().unwrap();
        assert!(
            out(&help).contains("Exit codes: 0 all up, 1 degraded"),
            "{}",
            out(&help)
        );
    }
}

/// `check` discovers without a file; commands that act on services never do.
#[test]
fn the_help_says_what_is_used_without_a_file() {
    for (command, default) in [
        (&["check"][..], "the services found on this machine"),
        (&["service", "list"], "the embedded configuration"),
        (&["service", "start"], "the embedded configuration"),
    ] {
        let help = upkeep(&[command, &["--help"]].concat()).output().unwrap();
        let words = out(&help).split_whitespace().collect::<Vec<_>>().join(" ");
        let from = words.find("--config.file <PATH>").unwrap();
        let flag = words[from..].split("--path.procfs").next().unwrap();
        assert!(flag.contains(&format!("default: {default}")), "{flag}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    for arguments in [&["completions", "zsh"][..], &["man"]] {
        let mut child = upkeep(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(!line.is_empty());
        let output = child.wait_with_output().unwrap();
        ends_with(0, &output);
        assert_eq!(errors(&output), "");
    }
}
