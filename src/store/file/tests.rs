//! Tests the files: records and copies, every step of a save as the last one, damaged logs, and killed writers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::model::ServiceKey;
use crate::store::saved::SavedService;
use crate::store::test_clock::TestClock;

/// The environment variable with the directory for the test that runs itself in a child process.
const CHILD_DIR: &str = "UPKEEP_TEST_STATE_FILE_DIR";

const LOCK: &str = "state.lock";

/// The name of the copy.
const COPY: &str = super::COPY.name;

const NOW: Moment = Moment::from_nanos(1_000_000_000_000);

fn wall() -> WallAnchor {
    WallAnchor::new(&*TestClock::new(0, 1_700_000_000))
}

/// A state in which the services with these numbers have these values.
fn state(values: &[(usize, i64)]) -> SavedState {
    let services = values.iter().map(|(number, value)| {
        let service = SavedService {
            counts_from: Some(Moment::from_nanos(*value)),
            ..SavedService::default()
        };
        (ServiceKey::new(format!("service-{number}")), service, Vec::new())
    });
    SavedState {
        services: services.collect(),
    }
}

/// The values of a state, by the numbers of the services.
fn values(state: &SavedState) -> Vec<(usize, i64)> {
    let mut values: Vec<(usize, i64)> = state
        .services
        .iter()
        .map(|(key, service, _)| {
            let number = key.as_str().trim_start_matches("service-").parse().unwrap();
            (number, service.counts_from.unwrap().as_nanos())
        })
        .collect();
    values.sort_unstable();
    values
}

/// Opens the directory, which nobody else uses.
fn open(dir: &Path) -> (StateFile, Vec<(usize, i64)>, Vec<String>) {
    let (file, saved, warnings) = StateFile::open(StateDir::new(dir.to_owned()), wall(), NOW).unwrap();
    (file, values(&saved), warnings)
}

/// What another process would read.
fn read(dir: &Path) -> (Vec<(usize, i64)>, Vec<String>) {
    let (_, values, warnings) = open(dir);
    (values, warnings)
}

const FIRST: [(usize, i64); 3] = [(0, 10), (1, 11), (2, 12)];

/// A directory with a copy of [`FIRST`] and two records.
fn with_log(dir: &Path) -> StateFile {
    let (mut file, ..) = open(dir);
    file.write_copy(&state(&FIRST), wall(), NOW).unwrap();
    file.append(&state(&[(1, 21)]), wall()).unwrap();
    file.append(&state(&[(0, 30), (7, 37)]), wall()).unwrap();
    file
}

const LAST: [(usize, i64); 4] = [(0, 30), (1, 21), (2, 12), (7, 37)];

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn records_are_appended_and_a_copy_replaces_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = with_log(dir.path());
    let copy = fs::read(dir.path().join(COPY)).unwrap();
    let length = fs::metadata(dir.path().join(LOG)).unwrap().len();
    file.append(&state(&[(2, 42)]), wall()).unwrap();
    assert_eq!(fs::read(dir.path().join(COPY)).unwrap(), copy);
    let grown = fs::metadata(dir.path().join(LOG)).unwrap().len() - length;
    assert!(grown < 400, "one service has {grown} bytes");
    assert!(file.has_log() && !file.needs_copy());
    drop(file);
    let (mut file, found, warnings) = open(dir.path());
    assert_eq!(
        (found, warnings),
        (vec![(0, 30), (1, 21), (2, 42), (7, 37)], vec![])
    );
    assert!(file.needs_copy(), "the first save of a process is a copy");
    file.write_copy(&state(&LAST), wall(), NOW).unwrap();
    assert!(!file.has_log() && !file.needs_copy());
    assert_eq!(names(dir.path()), [COPY, LOCK]);
    assert_eq!(read_after(file, dir.path()), LAST);
}

fn read_after(file: StateFile, dir: &Path) -> Vec<(usize, i64)> {
    drop(file);
    let (found, warnings) = read(dir);
    assert_eq!(warnings, [""; 0]);
    found
}

/// What happened, the files of the directory with their content, and the services with their since-times that are read from them.
type Step = (&'static str, Vec<(String, Vec<u8>)>, &'static [(usize, i64)]);

/// What the directory may look like when the process is killed or the machine crashes during a save. All of them are read, and the next
/// process can save.
#[test]
fn any_step_of_a_save_may_be_the_last() {
    const NEW: [(usize, i64); 3] = [(0, 50), (1, 51), (2, 52)];
    let old = tempfile::tempdir().unwrap();
    drop(with_log(old.path()));
    let new = tempfile::tempdir().unwrap();
    let (mut file, ..) = open(new.path());
    file.write_copy(&state(&NEW), wall(), NOW).unwrap();
    file.append(&state(&[(1, 61)]), wall()).unwrap();
    drop(file);
    let content = |dir: &tempfile::TempDir, name: &str| fs::read(dir.path().join(name)).unwrap();
    let (old_copy, old_log) = (content(&old, COPY), content(&old, LOG));
    let (new_copy, new_log) = (content(&new, COPY), content(&new, LOG));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let temporary = |name: &str| format!("{name}.tmp");
    let steps: [Step; 7] = [
        (
            "the new copy is incomplete",
            vec![
                (COPY.to_owned(), old_copy.clone()),
                (LOG.to_owned(), old_log.clone()),
                (temporary(COPY), half(&new_copy)),
            ],
            &LAST,
        ),
        (
            "the new copy is complete",
            vec![
                (COPY.to_owned(), old_copy),
                (LOG.to_owned(), old_log.clone()),
                (temporary(COPY), new_copy.clone()),
            ],
            &LAST,
        ),
        (
            "the copy is replaced, and the old log is there",
            vec![
                (COPY.to_owned(), new_copy.clone()),
                (LOG.to_owned(), old_log.clone()),
            ],
            &NEW,
        ),
        (
            "the old log is removed",
            vec![(COPY.to_owned(), new_copy.clone())],
            &NEW,
        ),
        (
            "the new log is incomplete, and a crash of the machine restored the old one",
            vec![
                (COPY.to_owned(), new_copy.clone()),
                (LOG.to_owned(), old_log),
                (temporary(LOG), half(&new_log)),
            ],
            &NEW,
        ),
        (
            "the new log is complete",
            vec![
                (COPY.to_owned(), new_copy.clone()),
                (temporary(LOG), new_log.clone()),
            ],
            &NEW,
        ),
        (
            "the new log is renamed",
            vec![(COPY.to_owned(), new_copy), (LOG.to_owned(), new_log)],
            &[(0, 50), (1, 61), (2, 52)],
        ),
    ];
    for (step, files, expected) in steps {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let (mut file, found, warnings) = open(dir.path());
        assert_eq!((found.as_slice(), warnings), (expected, vec![]), "{step}");
        file.write_copy(&state(&FIRST), wall(), NOW).unwrap();
        file.append(&state(&[(1, 71)]), wall()).unwrap();
        assert_eq!(names(dir.path()), [COPY, LOCK, LOG], "{step}");
        assert_eq!(
            read_after(file, dir.path()),
            [(0, 10), (1, 71), (2, 12)],
            "{step}"
        );
    }
}

#[test]
fn a_damaged_log_is_used_up_to_the_damage_and_moved_aside_by_the_next_copy() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_log(dir.path()));
    let path = dir.path().join(LOG);
    let mut log = fs::read(&path).unwrap();
    let last = log[..log.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap();
    log[last + 30] ^= 1;
    fs::write(&path, &log).unwrap();
    // A process that is killed before it saves changes nothing.
    for _ in 0..2 {
        let (found, warnings) = read(dir.path());
        assert_eq!(found, [(0, 10), (1, 21), (2, 12)]);
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        assert!(
            warning.contains("line 3: it is damaged") && warning.contains("state.log.broken-1"),
            "{warning}"
        );
    }
    let (mut file, found, _) = open(dir.path());
    file.write_copy(&state(&found), wall(), NOW).unwrap();
    assert_eq!(names(dir.path()), [COPY, LOCK, "state.log.broken-1"]);
    assert_eq!(fs::read(dir.path().join("state.log.broken-1")).unwrap(), log);
    file.append(&state(&[(0, 80)]), wall()).unwrap();
    assert_eq!(read_after(file, dir.path()), [(0, 80), (1, 21), (2, 12)]);
}

#[test]
fn the_log_of_a_broken_copy_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_log(dir.path()));
    let path = dir.path().join(COPY);
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("\"has_verdict\":false", "\"has_verdict\":true ");
    assert_ne!(changed, text);
    fs::write(&path, changed).unwrap();
    let (mut file, found, warnings) = open(dir.path());
    assert_eq!(found, []);
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains("its checksum is wrong") && warning.contains("state.json.broken-1"),
        "{warning}"
    );
    file.write_copy(&state(&FIRST), wall(), NOW).unwrap();
    let kept = names(dir.path());
    assert_eq!(kept, [COPY, "state.json.broken-1", LOCK, "state.log.broken-1"]);
}

/// An older version wrote the copy after a newer one was killed.
#[test]
fn a_log_is_ignored_if_an_older_version_wrote_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_log(dir.path()));
    let path = dir.path().join(COPY);
    let mut copy: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    copy.as_object_mut().unwrap().remove("checksum").unwrap();
    fs::write(&path, copy.to_string()).unwrap();
    assert_eq!(read(dir.path()), (FIRST.to_vec(), vec![]));
    // Without a copy, a log is nothing.
    fs::remove_file(&path).unwrap();
    assert_eq!(read(dir.path()), (vec![], vec![]));
}

#[test]
fn removed_and_replaced_files_need_a_copy() {
    for name in [COPY, LOG] {
        for is_replaced in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut file = with_log(dir.path());
            assert!(!file.needs_copy());
            let path = dir.path().join(name);
            let text = fs::read(&path).unwrap();
            fs::rename(&path, dir.path().join("old")).unwrap();
            if is_replaced {
                fs::write(&path, text).unwrap();
            }
            assert!(file.needs_copy(), "{name} {is_replaced}");
            file.write_copy(&state(&LAST), wall(), NOW).unwrap();
            assert!(!file.needs_copy());
            assert_eq!(read_after(file, dir.path()), LAST);
        }
    }
}

#[test]
fn after_a_failure_the_next_save_must_be_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = with_log(dir.path());
    let path = dir.path().join(LOG);
    fs::remove_file(&path).unwrap();
    let error = file.append(&state(&[(1, 1)]), wall()).unwrap_err().to_string();
    assert!(
        error.contains("appending to") && error.contains("state.log"),
        "{error}"
    );
    assert!(file.needs_copy());
    let error = file.append(&state(&[(1, 1)]), wall()).unwrap_err().to_string();
    assert!(error.contains("its copy was not written"), "{error}");
    file.write_copy(&state(&LAST), wall(), NOW).unwrap();
    assert_eq!(read_after(file, dir.path()), LAST);
}

#[test]
fn the_size_of_the_files_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, ..) = open(dir.path());
    let many = |value: i64| state(&(0..400).map(|number| (number, value)).collect::<Vec<_>>());
    file.write_copy(&many(0), wall(), NOW).unwrap();
    let copy = fs::metadata(dir.path().join(COPY)).unwrap().len();
    assert!(copy < SMALL_LOG);
    let mut records = 0;
    while !file.needs_copy() {
        records += 1;
        file.append(&many(records), wall()).unwrap();
    }
    let log = fs::metadata(dir.path().join(LOG)).unwrap().len();
    assert!(
        records > 3 && log <= SMALL_LOG + copy,
        "{records} records, {log} bytes"
    );
    file.write_copy(&many(records), wall(), NOW).unwrap();
    assert_eq!(names(dir.path()), [COPY, LOCK]);
}

/// The child process: saves a growing number as fast as possible, and prints it before and after each save.
fn save_until_killed(dir: &Path) {
    let (mut file, found, warnings) = open(dir);
    assert_eq!(warnings, [""; 0]);
    let mut out = io::stdout().lock();
    let mut print = |word: &str, number: i64| {
        writeln!(out, "\n{word} {number};").unwrap();
        out.flush().unwrap();
    };
    let first = found.first().map_or(0, |(_, number)| *number);
    print("found", first);
    for number in first + 1.. {
        print("begin", number);
        if number % 7 == 0 || file.needs_copy() {
            file.write_copy(&state(&[(0, number), (1, number)]), wall(), NOW)
                .unwrap();
        } else {
            file.append(&state(&[(0, number), (1, number)]), wall()).unwrap();
        }
        print("done", number);
    }
}

/// If the process is killed at any time, the files have the state of the last complete save or of the current one.
#[test]
fn a_kill_at_any_time_loses_no_complete_save() {
    const NAME: &str = "store::file::tests::a_kill_at_any_time_loses_no_complete_save";
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return save_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut saves, mut mid_save) = (0_u64, 0);
    // The maximum lifetime of a child in microseconds. It grows if the machine is slow, so that some saves complete.
    let mut longest = 20_000;
    for round in 0..60_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut words = lines.map_while(Result::ok).filter_map(|line| {
            let (word, number) = line.strip_suffix(';')?.split_once(' ')?;
            Some((word.to_owned(), number.parse::<i64>().ok()?))
        });
        let found = words.find(|(word, _)| word == "found").unwrap().1;
        if round % 10 == 9 && saves < round {
            longest = (longest * 3).min(400_000);
        }
        // In mixed order.
        std::thread::sleep(Duration::from_micros(round * 7919 % longest));
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut done, mut begun) = (found, None);
        for (word, number) in words {
            match word.as_str() {
                "begin" => begun = Some(number),
                _ => {
                    (done, begun) = (number, None);
                    saves += 1;
                }
            }
        }
        mid_save += u32::from(begun.is_some());
        let (values, warnings) = read(dir.path());
        assert_eq!(warnings, [""; 0], "round {round}");
        let numbers: Vec<i64> = values.iter().map(|(_, number)| *number).collect();
        let allowed = |number: i64| numbers == [number; 2] || (number == 0 && numbers.is_empty());
        assert!(
            allowed(done) || begun.is_some_and(allowed),
            "round {round}: {numbers:?}, saved {done}, saving {begun:?}"
        );
    }
    assert!(
        saves > 20 && mid_save > 3,
        "{saves} saves, {mid_save} of 60 killed while saving"
    );
}
