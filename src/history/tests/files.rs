//! The files: what is written is read again, whatever happens in between.

use std::fs;
use std::path::Path;

use super::super::encoding::{LOG_HEADER, encode_copy, encode_record};
use super::super::file::{COPY_FILE, HistoryFile, LOG_FILE};
use super::*;
use crate::state_dir::StateDir;

/// What is known about the services of a recorder, without what is only in memory.
fn content(recorder: &Recorder) -> Vec<u8> {
    encode_copy(recorder, 0)
}

fn open(dir: &Path) -> (HistoryFile, Recorder, Vec<String>) {
    let mut recorder = Recorder::default();
    let (file, warnings) = HistoryFile::open(StateDir::new(dir.to_owned()), &mut recorder);
    (file, recorder, warnings)
}

/// Saves what is not saved: as a copy if that is due, and otherwise to the log.
fn save(file: &mut HistoryFile, recorder: &mut Recorder) -> Result<(), String> {
    let unsaved = recorder.take_unsaved();
    let result = match file.next_copy() {
        Some(number) => file.write_copy(&encode_copy(recorder, number)),
        None => file.append(&encode_record(recorder, &unsaved)),
    };
    if result.is_err() {
        recorder.return_unsaved(&unsaved);
    }
    result.map_err(|error| error.to_string())
}

/// Records something in each of several minutes, and saves after each. Returns the states after the saves.
fn fill(dir: &Path) -> (Test, Vec<Vec<u8>>) {
    let mut test = Test::new();
    test.keys.push("db".to_owned());
    let (mut file, recorder, warnings) = open(dir);
    assert_eq!(warnings, [""; 0]);
    test.recorder = recorder;
    test.observe(&[], &[]);
    let mut states = vec![content(&Recorder::default())];
    for number in 0..8 {
        let second = number * 60 + 60;
        let status = if number % 2 == 0 { Status::Down } else { Status::Up };
        test.change(second, second - 30, status);
        test.observe(&[], &[5, 7]);
        save(&mut file, &mut test.recorder).unwrap();
        states.push(content(&test.recorder));
    }
    (test, states)
}

#[test]
fn the_log_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (test, _) = fill(dir.path());
    let (_, recorder, warnings) = open(dir.path());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(content(&recorder), content(&test.recorder));
    assert!(!dir.path().join(COPY_FILE).exists());
}

#[test]
fn a_copy_and_its_log_have_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (mut test, _) = fill(dir.path());
    let (mut file, ..) = open(dir.path());
    file.write_copy(&encode_copy(&test.recorder, 1)).unwrap();
    test.recorder.take_unsaved();
    assert_eq!(fs::read(dir.path().join(LOG_FILE)).unwrap().len(), LOG_HEADER);
    test.change(600, 530, Status::Degraded);
    save(&mut file, &mut test.recorder).unwrap();
    let (_, recorder, warnings) = open(dir.path());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(content(&recorder), content(&test.recorder));
}

/// A process that is killed leaves the log at any length.
#[test]
fn a_log_cut_at_any_byte_has_its_complete_records() {
    let dir = tempfile::tempdir().unwrap();
    let (_, states) = fill(dir.path());
    let log = fs::read(dir.path().join(LOG_FILE)).unwrap();
    let mut position = 0;
    for length in LOG_HEADER..=log.len() {
        fs::write(dir.path().join(LOG_FILE), &log[..length]).unwrap();
        let (mut file, mut recorder, warnings) = open(dir.path());
        assert_eq!(warnings, [""; 0], "{length} bytes");
        let found = states.iter().position(|state| *state == content(&recorder));
        let found = found.unwrap_or_else(|| panic!("{length} bytes: another state"));
        assert!(found == position || found == position + 1, "{length} bytes");
        position = found;
        // The next record overwrites the rest.
        if length % 16 == 0 {
            let mut test = Test::new();
            test.observe(&[], &[]);
            std::mem::swap(&mut test.recorder, &mut recorder);
            test.clock.set(1000);
            test.observe(&[(1000, Status::Degraded)], &[3]);
            save(&mut file, &mut test.recorder).unwrap();
            let (_, again, warnings) = open(dir.path());
            assert_eq!(warnings, [""; 0]);
            assert_eq!(content(&again), content(&test.recorder));
        }
    }
    assert_eq!(position, states.len() - 1);
}

#[test]
fn damage_is_moved_aside_and_what_comes_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (_, states) = fill(dir.path());
    let log = fs::read(dir.path().join(LOG_FILE)).unwrap();
    for position in (0..log.len()).step_by(7) {
        let mut damaged = log.clone();
        damaged[position] ^= 0x20;
        fs::write(dir.path().join(LOG_FILE), &damaged).unwrap();
        let (mut file, mut recorder, warnings) = open(dir.path());
        assert!(states.contains(&content(&recorder)), "byte {position}");
        let found = states
            .iter()
            .position(|state| *state == content(&recorder))
            .unwrap();
        assert!(found < states.len() - 1 || warnings.is_empty(), "byte {position}");
        if !warnings.is_empty() {
            assert!(
                warnings[0].contains("can't be used") && warnings[0].contains("moved to"),
                "{warnings:?}"
            );
            // The next save has all of it, without the log.
            save(&mut file, &mut recorder).unwrap();
            let (_, again, warnings) = open(dir.path());
            assert_eq!(warnings, [""; 0]);
            assert_eq!(content(&again), content(&recorder));
            fs::remove_file(dir.path().join(COPY_FILE)).unwrap();
        }
    }
}

#[test]
fn a_damaged_or_foreign_copy_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (test, _) = fill(dir.path());
    let (mut file, ..) = open(dir.path());
    file.write_copy(&encode_copy(&test.recorder, 1)).unwrap();
    drop(file);
    let copy = fs::read(dir.path().join(COPY_FILE)).unwrap();
    let mut damaged = copy.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for (content_of_file, reason) in [
        (
            b"GIF89a".to_vec(),
            "it is not a history file of upkeep_exporter, or of another version",
        ),
        (Vec::new(), "it is not a history file"),
        (copy[..copy.len() - 1].to_vec(), "its checksum is wrong"),
        (copy[..40].to_vec(), "its checksum is wrong"),
        (damaged, "its checksum is wrong"),
    ] {
        fs::write(dir.path().join(COPY_FILE), content_of_file).unwrap();
        let (mut file, mut recorder, warnings) = open(dir.path());
        assert!(warnings[0].contains(reason), "{warnings:?}");
        assert!(
            warnings[1].contains("its copy history.bin is missing or older"),
            "{warnings:?}"
        );
        assert!(recorder.services().is_empty());
        save(&mut file, &mut recorder).unwrap();
        assert_eq!(open(dir.path()).2, [""; 0]);
        // The log of the old copy again.
        fs::write(dir.path().join(LOG_FILE), super::super::encoding::log_header(1)).unwrap();
    }
    let aside = fs::read_dir(dir.path()).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with("history.bin.broken-")
    });
    assert_eq!(aside.count(), 5);
}

#[test]
fn a_log_that_a_copy_has_already_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let (test, _) = fill(dir.path());
    let log = fs::read(dir.path().join(LOG_FILE)).unwrap();
    let (mut file, ..) = open(dir.path());
    file.write_copy(&encode_copy(&test.recorder, 1)).unwrap();
    drop(file);
    // The process was killed before it replaced the log.
    fs::write(dir.path().join(LOG_FILE), log).unwrap();
    let (mut file, mut recorder, warnings) = open(dir.path());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(content(&recorder), content(&test.recorder));
    save(&mut file, &mut recorder).unwrap();
    let (_, again, _) = open(dir.path());
    assert_eq!(content(&again), content(&test.recorder));
}

#[test]
fn a_log_that_is_replaced_or_removed_meanwhile_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join(LOG_FILE);
    let (mut test, _) = fill(dir.path());
    let (mut file, ..) = open(dir.path());
    for (number, replace) in [
        &(|| fs::remove_file(&log).unwrap()) as &dyn Fn(),
        &|| fs::write(&log, "short").unwrap(),
        &|| {
            fs::rename(&log, dir.path().join("renamed")).unwrap();
            fs::write(&log, vec![b'x'; 100_000]).unwrap();
        },
        &|| {
            fs::remove_file(&log).unwrap();
            std::os::unix::fs::symlink(dir.path().join("target"), &log).unwrap();
        },
    ]
    .into_iter()
    .enumerate()
    {
        let status = if number % 2 == 0 { Status::Down } else { Status::Up };
        let second = 1000 + number as i64 * 100;
        test.change(second, second, status);
        save(&mut file, &mut test.recorder).unwrap();
        replace();
        test.run_until(second + 10);
        let error = save(&mut file, &mut test.recorder).unwrap_err();
        assert!(error.contains("appending to"), "{error}");
        // The next attempt writes everything.
        save(&mut file, &mut test.recorder).unwrap();
        let (_, again, warnings) = open(dir.path());
        assert_eq!(warnings, [""; 0], "{number}");
        assert_eq!(content(&again), content(&test.recorder), "{number}");
    }
    assert!(!dir.path().join("target").exists());
}

#[test]
fn nothing_is_lost_when_a_save_fails() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("state");
    fs::create_dir(&inner).unwrap();
    let (mut file, recorder, _) = open(&inner);
    let mut test = Test::new();
    test.recorder = recorder;
    test.observe(&[], &[]);
    fs::remove_dir(&inner).unwrap();
    fs::write(&inner, "").unwrap();
    test.change(400, 350, Status::Down);
    assert!(save(&mut file, &mut test.recorder).is_err());
    test.change(500, 450, Status::Up);
    assert!(save(&mut file, &mut test.recorder).is_err());
    fs::remove_file(&inner).unwrap();
    test.change(700, 650, Status::Degraded);
    save(&mut file, &mut test.recorder).unwrap();
    let (_, again, _) = open(&inner);
    assert_eq!(content(&again), content(&test.recorder));
}

/// The copy is complete, but the log after it could not be written. So the next record repeats what the copy has.
#[test]
fn a_record_that_repeats_changes_of_the_copy_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (mut test, _) = fill(dir.path());
    test.change(560, 550, Status::Down);
    test.change(600, 590, Status::Up);
    let unsaved = test.recorder.take_unsaved();
    let (mut file, ..) = open(dir.path());
    file.write_copy(&encode_copy(&test.recorder, 1)).unwrap();
    file.append(&encode_record(&test.recorder, &unsaved)).unwrap();
    let (_, recorder, warnings) = open(dir.path());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(content(&recorder), content(&test.recorder));
}

/// The sizes in `docs/HISTORY.md`.
#[test]
fn a_complete_history_has_the_documented_size() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    for second in (0..400 * 86_400_i64).step_by(86_400) {
        let steps = if second > 398 * 86_400 { 86_400 / 300 } else { 1 };
        for part in 0..steps {
            let second = second + part * 300;
            test.clock.set(second - 7);
            test.observe(&[], &[23]);
            test.clock.set(second + 5);
            let status = if second % 86_400 < 43_200 {
                Status::Down
            } else {
                Status::Degraded
            };
            test.observe(&[(second, Status::Up), (second + 2, status)], &[12, 480]);
        }
    }
    let record = &test.recorder.services()[&ServiceKey::new("api")];
    let buckets = Step::ALL.map(|step| record.series(step).iter().len());
    assert!(
        buckets[0] == 301 && buckets[1] > 40 && buckets[2] >= 400,
        "{buckets:?}"
    );
    assert_eq!(record.changes().len(), 200);
    let bytes = content(&test.recorder).len();
    assert!(bytes < 24_000, "{bytes} bytes");
}
