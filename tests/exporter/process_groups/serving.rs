//! The endpoint, its configuration, and reloads.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::series::parse;
use super::workload::Workload;
use crate::common::servers::{eventually, get};
use crate::{Exporter, LONG};

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
}

/// The number of processes in a group.
async fn processes(exporter: &Exporter, group: &str) -> Option<f64> {
    let text = get(&exporter.url("/metrics/processes")).await?;
    let labels = [("groupname".to_owned(), group.to_owned())].into();
    parse(&text)
        .get(&("namedprocess_namegroup_num_procs".to_owned(), labels))
        .copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_groups_and_keeps_those_with_the_same_settings() {
    let mut workload = Workload::new();
    let word = workload.word.clone();
    workload.sleep_as(&format!("{word}-one"));
    workload.sleep_as(&format!("{word}-two"));
    let rules = |name: &str| {
        format!(
            "process_groups: {{ process_names: [{{ name: '{word} {name}', cmdline: ['{word}-(?P<Kind>[a-z]+)'] }}] }}\n"
        )
    };
    let exporter = Exporter::start(&rules("{{.Matches.Kind}}"), &[]).await;
    let (one, all) = (format!("{word} one"), format!("{word} all"));
    assert_eq!(processes(&exporter, &one).await, Some(1.0));
    assert_eq!(processes(&exporter, &format!("{word} two")).await, Some(1.0));
    workload.kill();
    assert_eq!(processes(&exporter, &one).await, Some(0.0));

    // A group without processes disappears only when the settings change.
    let reload = async |text: String, group: &str, expected: Option<f64>| {
        fs::write(exporter.config(), text).unwrap();
        let loaded = exporter.server.log().matches("configuration loaded").count();
        exporter.server.signal(Signal::HUP);
        eventually("the configuration is loaded", LONG, || async {
            (exporter.server.log().matches("configuration loaded").count() > loaded).then_some(())
        })
        .await;
        assert_eq!(processes(&exporter, group).await, expected);
    };
    reload(rules("{{.Matches.Kind}}") + "# comment\n", &one, Some(0.0)).await;
    workload.sleep_as(&format!("{word}-one"));
    reload(rules("all"), &all, Some(1.0)).await;
    assert_eq!(processes(&exporter, &one).await, None);
    let service = "services: [{ key: none, checks: [{ kind: process, match: [a], min: 0 }] }]\n";
    fs::write(exporter.config(), service).unwrap();
    exporter.server.signal(Signal::HUP);
    eventually("there are no groups", LONG, || async {
        get(&exporter.url("/metrics/processes"))
            .await
            .is_none()
            .then_some(())
    })
    .await;
}

#[test]
fn both_files_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let groups = "process_names: [{ name: '{{.Comm}}', cmdline: ['.+'] }, { comm: [a] }]\n";
    let good = write("all.yaml", groups);
    let bad = write(
        "bad.yaml",
        "process_names: [{ name: '{{.Nope}}', cmdline: ['.+'] }]\n",
    );
    let both = write("upkeep.yml", "process_groups: [{ comm: [a] }]\n");
    for (arguments, is_valid, part) in [
        (
            vec!["check-config".to_owned(), format!("--process.config={good}")],
            true,
            "2 rules for process groups",
        ),
        (
            vec!["check-config".to_owned(), format!("--process.config={bad}")],
            false,
            "unknown variable .Nope",
        ),
        (
            vec!["check-config".to_owned(), both.clone()],
            true,
            "1 rule for process groups",
        ),
        (
            vec!["--config.check".to_owned(), format!("--process.config={good}")],
            true,
            "2 rules for process groups",
        ),
        (
            vec![
                "--config.check".to_owned(),
                format!("--config.file={both}"),
                format!("--process.config={good}"),
            ],
            false,
            "has process_groups too",
        ),
    ] {
        let output = binary().args(&arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), is_valid, "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}
