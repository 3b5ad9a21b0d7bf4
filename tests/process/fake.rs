//! Process checks with fake /proc directories, for content that no real process has on demand.

use std::fs;

use serde_json::json;

use crate::support::{BOOT_TIME, FakeProc, check, run, run_once, stat};

#[tokio::test]
async fn sums_are_exact() {
    let fake = FakeProc::new();
    fake.process(10, "app", "app\0--serve\0");
    let young = fake.process(11, "app", "app\0--serve\0");
    fs::write(young.join("stat"), stat(11, "app", 'R', 0, 5_000)).unwrap();
    fs::write(
        young.join("limits"),
        "Max open files            unlimited  unlimited  files\n",
    )
    .unwrap();
    let ran = run_once(json!({"match": "app --SERVE"}), &fake.context()).await;
    assert_eq!(ran.result, Ok(()));
    let (page, ticks) = (procfs::page_size() as f64, procfs::ticks_per_second() as f64);
    for (name, value) in [
        ("processes", 2.0),
        ("process_cpu_seconds_total", 600.0 / ticks),
        ("process_resident_memory_bytes", 20.0 * page),
        ("process_open_fds", 6.0),
        ("process_max_fds", 1024.0),
        ("process_threads", 4.0),
        ("process_start_time_seconds", BOOT_TIME as f64 + 100.0 / ticks),
    ] {
        assert_eq!(ran.value(name), Some(value), "{name}");
    }
    assert_eq!(ran.report.samples.len(), 7);
}

#[tokio::test]
async fn names_can_contain_any_bytes() {
    let fake = FakeProc::new();
    fake.process(20, b"we) S 1 (ird\n\xfe", b"\0\0");
    let context = fake.context();
    for pattern in [r"^we\) S 1 \(ird\n\x{FFFD}$", r"\x{FFFD}$"] {
        let ran = run_once(json!({ "regex": pattern }), &context).await;
        assert_eq!(ran.count(), Some(1.0), "{pattern}");
    }
}

#[tokio::test]
async fn kernel_threads_match_by_name_without_reading_a_command_line() {
    let fake = FakeProc::new();
    let directory = fake.process(2, "nfsd", "never read");
    fs::write(directory.join("stat"), stat(2, "nfsd", 'I', 0x0020_0040, 5)).unwrap();
    let context = fake.context();
    assert_eq!(
        run_once(json!({"match": "nfsd"}), &context).await.count(),
        Some(1.0)
    );
    assert_eq!(
        run_once(json!({"match": "never read"}), &context).await.count(),
        Some(0.0)
    );
}

#[tokio::test]
async fn other_directories_are_not_treated_as_processes() {
    let fake = FakeProc::new();
    let real = fake.process(30, "app", "app");
    for name in ["030", "-30", "30a", "99999999999", "thread-self", "sys", "0"] {
        let directory = fake.root().join(name);
        fs::create_dir(&directory).unwrap();
        for file in ["stat", "cmdline", "limits"] {
            fs::copy(real.join(file), directory.join(file)).unwrap();
        }
    }
    let ran = run_once(json!({"match": "app"}), &fake.context()).await;
    assert_eq!(ran.count(), Some(1.0));
}

#[tokio::test]
async fn a_process_that_ends_between_two_reads_is_ignored() {
    for missing in ["stat", "cmdline", "limits", "fd"] {
        let fake = FakeProc::new();
        let directory = fake.process(40, "app", "app");
        if missing == "fd" {
            fs::remove_dir_all(directory.join("fd")).unwrap();
        } else {
            fs::remove_file(directory.join(missing)).unwrap();
        }
        let ran = run_once(json!({"match": "app"}), &fake.context()).await;
        assert_eq!(
            ran.failure(),
            ("missing", "no process matches app; at least 1 expected"),
            "{missing}"
        );
    }
}

#[tokio::test]
async fn an_unreadable_value_makes_only_its_own_sum_absent() {
    let fake = FakeProc::new();
    fake.process(50, "app", "app");
    let directory = fake.process(51, "app", "app");
    fs::remove_dir_all(directory.join("fd")).unwrap();
    fs::write(directory.join("fd"), "no directory").unwrap();
    let ran = run_once(json!({"match": "app"}), &fake.context()).await;
    assert_eq!((ran.count(), ran.value("process_open_fds")), (Some(2.0), None));
    assert_eq!(ran.value("process_max_fds"), Some(1024.0));

    fs::write(directory.join("limits"), "\u{0}garbage").unwrap();
    fs::remove_file(fake.root().join("stat")).unwrap();
    let ran = run_once(json!({"match": "app"}), &fake.context()).await;
    assert_eq!((ran.count(), ran.value("process_max_fds")), (Some(2.0), None));
    assert_eq!(ran.value("process_start_time_seconds"), None);
    assert_eq!(ran.value("process_threads"), Some(4.0));
}

#[tokio::test]
async fn a_malformed_stat_file_makes_the_view_partial_without_breaking_the_rest() {
    let fake = FakeProc::new();
    fake.process(60, "app", "app");
    for (id, text) in [
        (61, &b""[..]),
        (62, b"62 (app"),
        (63, b")("),
        (64, b"\xff\xff\xff"),
        (65, b"65 (app) S x"),
    ] {
        let directory = fake.process(id, "app", "app");
        fs::write(directory.join("stat"), text).unwrap();
    }
    let context = fake.context();
    let ran = run_once(json!({"match": "app"}), &context).await;
    assert_eq!((ran.count(), ran.result.is_ok()), (Some(1.0), true));
    let ran = run_once(json!({"match": "app", "min": 2}), &context).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "permission");
    assert!(
        message.starts_with("1 process matches app; at least 2 expected; 5 more may match"),
        "{message}"
    );
}

#[tokio::test]
async fn an_unreadable_command_line_is_not_treated_as_empty() {
    let fake = FakeProc::new();
    let directory = fake.process(70, "app", "");
    fs::remove_file(directory.join("cmdline")).unwrap();
    fs::create_dir(directory.join("cmdline")).unwrap();
    let context = fake.context();
    assert_eq!(run_once(json!({"match": "app"}), &context).await.result, Ok(()));
    let ran = run_once(json!({"match": "other"}), &context).await;
    assert_eq!(ran.failure().0, "permission");
    assert!(ran.failure().1.contains("1 more may match"), "{ran:?}");
}

#[tokio::test]
async fn the_cpu_counter_survives_ended_processes_and_a_missing_proc() {
    let fake = FakeProc::new();
    let directory = fake.process(80, "app", "app");
    let context = fake.context();
    let mut check = check(json!({"match": "app", "min": 0}), &context);
    let seconds = 300.0 / procfs::ticks_per_second() as f64;
    assert_eq!(
        run(&mut check).await.value("process_cpu_seconds_total"),
        Some(seconds)
    );
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(
        run(&mut check).await.value("process_cpu_seconds_total"),
        Some(seconds)
    );
    // The same id, but another process.
    let again = fake.process(80, "app", "app");
    fs::write(again.join("stat"), stat(80, "app", 'S', 0, 900)).unwrap();
    assert_eq!(
        run(&mut check).await.value("process_cpu_seconds_total"),
        Some(2.0 * seconds)
    );

    fs::rename(fake.root(), fake.root().with_extension("gone")).unwrap();
    let ran = run(&mut check).await;
    fs::rename(fake.root().with_extension("gone"), fake.root()).unwrap();
    assert_eq!(ran.failure().0, "unreachable");
    assert_eq!(ran.value("process_cpu_seconds_total"), Some(2.0 * seconds));
    assert_eq!(ran.count(), None);
    assert_eq!(run(&mut check).await.result, Ok(()));
}

#[tokio::test]
async fn a_missing_procfs_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let file = root.join("file");
    fs::write(&file, "").unwrap();
    for (path, message) in [
        (root.join("absent"), "No such file or directory"),
        (file, "Not a directory"),
        (root.to_path_buf(), "lists no process"),
    ] {
        let context = upkeep_exporter::check::CheckContext::new(path.clone());
        let ran = run_once(json!({"match": "app"}), &context).await;
        let (reason, text) = ran.failure();
        assert_eq!(reason, "unreachable");
        assert!(
            text.contains(message) && text.contains(path.to_str().unwrap()),
            "{text}"
        );
        assert!(ran.report.samples.is_empty());
    }
}
