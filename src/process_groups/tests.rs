//! Tests of the scanner with fake /proc directories.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, mknodat};

use super::*;
use crate::config::process_groups::Switches;
use crate::config::process_names_file::parse;

fn settings(rules: &str) -> Arc<ProcessGroupSettings> {
    let (rules, _) = parse(format!("process_names: [{rules}]").as_bytes(), "x").unwrap();
    Arc::new(ProcessGroupSettings {
        rules,
        switches: Switches::default(),
    })
}

/// Adds a process with this name and parent.
fn add(root: &Path, id: i32, name: &str, parent: i32) {
    let directory = root.join(id.to_string());
    fs::create_dir_all(directory.join("fd")).unwrap();
    for (file, text) in [
        (
            "stat",
            format!("{id} ({name}) S {parent} 1 1 0 -1 0 1 0 0 0 2 3 0 0 20 0 1 0 77 4096 5 0\n"),
        ),
        ("cmdline", format!("/bin/{name}\0--port\x0080\0")),
        (
            "status",
            "Uid:\t0\t0\t0\t0\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n".to_owned(),
        ),
        (
            "limits",
            "Max open files            10                   20                   files\n".to_owned(),
        ),
        ("io", "read_bytes: 0\nwrite_bytes: 0\n".to_owned()),
        ("wchan", "0".to_owned()),
        ("smaps_rollup", "Pss: 1 kB\n".to_owned()),
        ("cgroup", "0::/system.slice/a.service\n".to_owned()),
    ] {
        fs::write(directory.join(file), text).unwrap();
    }
}

/// The number of processes of each group.
async fn processes(groups: &ProcessGroups) -> Vec<String> {
    let text = groups.collect().await.unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("namedprocess_namegroup_num_procs{groupname="));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn without_groups_nothing_is_scanned() {
    let groups = ProcessGroups::new("/no/such/directory".into());
    assert_eq!(groups.collect().await, Err(CollectError::NotConfigured));
    assert!(!groups.is_configured());
    groups.apply(None);
    assert_eq!(groups.queue.scans.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_failed_scan_is_counted() {
    let groups = ProcessGroups::new("/no/such/directory".into());
    groups.apply(Some(&settings("{ comm: [a] }")));
    let text = groups.collect().await.unwrap();
    let errors = text
        .lines()
        .find_map(|line| line.strip_prefix("namedprocess_scrape_errors "));
    // The scan at the start may serve this request, too.
    assert!(matches!(errors, Some("1" | "2")), "{text}");
    assert!(!text.contains("namegroup"), "{text}");
}

#[tokio::test]
async fn processes_and_their_children_have_groups() {
    let root = tempfile::tempdir().unwrap();
    for (id, name, parent) in [
        (10, "web", 1),
        (11, "helper", 10),
        // The parent has a higher id.
        (12, "deep", 13),
        (13, "helper", 11),
        (14, "other", 1),
        (15, "named", 10),
    ] {
        add(root.path(), id, name, parent);
    }
    let groups = ProcessGroups::new(root.path().into());
    groups.apply(Some(&settings(
        "{ name: '{{.ExeBase}}:{{.Matches.Port}}', comm: [web], cmdline: ['--port (?P<Port>.+)'] }, \
         { name: '{{.Username}} {{index .Cgroups 0}} {{.PID}}', exe: [named] }",
    )));
    let expected = ["\"root /system.slice/a.service 15\"} 1", "\"web:80\"} 4"];
    assert_eq!(processes(&groups).await, expected);
    // A process without a group is not compared again.
    fs::rename(root.path().join("14"), root.path().join("16")).unwrap();
    add(root.path(), 14, "web", 1);
    assert_eq!(processes(&groups).await, expected);
}

#[tokio::test]
async fn a_process_that_is_too_expensive_to_compare_is_compared_once() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), 8, "long", 1);
    add(root.path(), 9, "fine", 1);
    fs::write(root.path().join("8/cmdline"), "x".repeat(50_000)).unwrap();
    let groups = ProcessGroups::new(root.path().into());
    // The groups of such a large expression can't be found in a long text in time.
    groups.apply(Some(&settings(
        "{ name: '{{.Matches.A}}', cmdline: ['(?P<A>\\p{L}{1,20})'] }",
    )));
    let errors = async || {
        assert_eq!(processes(&groups).await, ["\"bin\"} 1"]);
        let text = groups.collect().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("namedprocess_scrape_procread_errors "));
        line.map(str::to_owned)
    };
    assert_eq!(errors().await.as_deref(), Some("1"));
    assert_eq!(errors().await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_process_that_can_not_be_read_does_not_block_the_others() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), 8, "stuck", 1);
    add(root.path(), 9, "fine", 1);
    // Opening a pipe without a writer blocks, as reading a process with a locked memory does.
    let (file, pipe) = (root.path().join("8/smaps_rollup"), root.path().join("pipe"));
    fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::hard_link(&file, &pipe).unwrap();

    let groups = ProcessGroups::new(root.path().into());
    groups.apply(Some(&settings("{ cmdline: ['.'] }")));
    assert_eq!(processes(&groups).await, ["\"fine\"} 1"]);
    let regular = root.path().join("regular");
    fs::write(&regular, "Pss: 1 kB\n").unwrap();
    fs::rename(&regular, &file).unwrap();
    fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    // As soon as the stuck thread has ended, the process is read again.
    let deadline = Instant::now() + Duration::from_secs(20);
    while processes(&groups).await != ["\"fine\"} 1", "\"stuck\"} 1"] {
        assert!(Instant::now() < deadline, "the process is still avoided");
    }
}
