//! Properties of the file formats: states survive encoding, damaged files do no harm, and a log has only states that were saved.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{CheckName, Moment, Problem, Reason, ServiceKey, Status, Tolerance, WallAnchor};
use crate::store::saved::{SavedCheck, SavedService, SavedState};
use crate::verdict::{CheckInput, Confirmation, Counts, Grade, Judgement, Rules, Run};

const NOW: Moment = Moment::from_nanos(1_000_000_000_000);

struct At(i64);

impl crate::model::Clock for At {
    fn now(&self) -> Moment {
        NOW
    }

    fn wall_nanos(&self) -> i64 {
        self.0
    }

    fn moment(&self, _: tokio::time::Instant) -> Moment {
        NOW
    }
}

/// The saved state after these runs of a check.
fn saved(runs: &[(u8, bool)]) -> SavedState {
    let rules = Rules {
        thresholds: None,
        severity: crate::model::Severity::Critical,
        counts: Counts {
            worse: 2,
            better: 3,
            better_span: Duration::ZERO,
        },
        deadline: Duration::from_secs(10),
        stale_after: Duration::from_secs(2),
    };
    let confirmation = Confirmation {
        tolerance: Tolerance {
            down: Duration::from_secs(4),
            degraded: Duration::from_secs(5),
            slow: Duration::from_secs(6),
        },
        counts_from: None,
        is_suppressed: false,
    };
    let mut check = SavedCheck {
        fingerprint: 0xfedc_ba98_7654_3210,
        problem: Some(Arc::new(Problem::new(Reason::Tls, "\"quoted\" \u{e9}"))),
        ..SavedCheck::default()
    };
    let mut service = SavedService::default();
    for ((grade, is_slow), second) in runs.iter().zip(1..) {
        // Every tenth run is so late that the check was unwatched before it.
        let moment = Moment::from_nanos((second + second / 10) * 1_234_567_891);
        let judgement = Judgement {
            grade: [Grade::Up, Grade::Degraded, Grade::Down][usize::from(*grade)],
            is_slow: *is_slow,
            is_failing: false,
            is_repeated: false,
            problem: None,
        };
        let run = Run {
            started: moment,
            ended: moment,
        };
        check.verdict.record(&judgement, run, check.last_ended, &rules);
        check.last_ended = Some(moment);
        let input = CheckInput {
            verdict: &check.verdict,
            recheck_interval: Duration::from_secs(1),
        };
        service
            .conditions
            .update(std::iter::once(input), 1, &confirmation);
        service.status = check.verdict.grade.grade.map_or(Status::Unknown, Status::from);
        service.status_since = Some(moment);
        service.has_verdict = true;
        service.is_suppressed = *is_slow;
        service.counts_from = (*grade > 0).then_some(moment);
    }
    SavedState {
        services: vec![(
            ServiceKey::new("api"),
            service,
            vec![(CheckName::new("http"), check)],
        )],
    }
}

fn wall() -> WallAnchor {
    WallAnchor::new(&At(1_700_000_000_000_000_000))
}

fn copy_of(state: &SavedState) -> Vec<u8> {
    encode_copy(state, wall(), NOW).unwrap().0
}

/// A copy as versions wrote it that have no log.
fn without_checksum(state: &SavedState) -> Vec<u8> {
    let (text, checksum) = encode_copy(state, wall(), NOW).unwrap();
    let text = String::from_utf8(text).unwrap();
    let field = format!("\"checksum\":\"{checksum:016x}\",");
    assert_eq!(text.matches(&field).count(), 1);
    text.replace(&field, "").into_bytes()
}

/// A copy and its log.
struct Saves {
    copy: SavedState,
    checksum: u64,
    /// The lines of the log.
    lines: Vec<Vec<u8>>,
    /// The copy of the state after the header and after each record.
    states: Vec<Vec<u8>>,
}

impl Saves {
    /// The saves of three services. Each record has one or two of them, and one adds a service.
    fn new() -> Self {
        let named = |key: &str, runs: &[(u8, bool)]| {
            let (_, service, checks) = saved(runs).services.remove(0);
            (ServiceKey::new(key), service, checks)
        };
        let copy = SavedState {
            services: vec![
                named("api", &[(0, false)]),
                named("db", &[(2, false), (2, false)]),
            ],
        };
        let changes = [
            vec![named("db", &[(0, false), (0, true)])],
            vec![named("api", &[(1, false); 3]), named("web", &[(2, true)])],
            vec![named("api", &[(2, false); 5])],
            vec![named("web", &[(0, false)]), named("db", &[(1, true)])],
        ];
        let (text, checksum) = encode_copy(&copy, wall(), NOW).unwrap();
        let mut last = encode_header(checksum).unwrap();
        let (mut lines, mut states, mut current) = (vec![last.bytes.clone()], vec![text], copy.clone());
        for services in changes {
            for service in &services {
                current.services.retain(|(key, ..)| *key != service.0);
                current.services.push(service.clone());
            }
            last = encode_record(last.checksum, &SavedState { services }, wall()).unwrap();
            lines.push(last.bytes.clone());
            states.push(copy_of(&current));
        }
        Self {
            copy,
            checksum,
            lines,
            states,
        }
    }

    /// The state after the log `text`, as a copy, and the error.
    fn replayed(&self, text: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut state = self.copy.clone();
        let result = replay(text, self.checksum, &mut state, wall(), NOW);
        (copy_of(&state), result.err().map(|error| error.to_string()))
    }
}

#[test]
fn a_log_cut_at_any_byte_has_the_state_of_its_complete_lines() {
    let saves = Saves::new();
    let whole = saves.lines.concat();
    let (last, error) = saves.replayed(&whole);
    assert_eq!((Some(&last), error), (saves.states.last(), None));
    for length in 0..whole.len() {
        let text = &whole[..length];
        let (state, error) = saves.replayed(text);
        let complete = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(state, saves.states[complete.saturating_sub(1)], "{length} bytes");
        // The header is written with the file, so only a record can be incomplete.
        assert_eq!(error.is_some(), complete == 0, "{length} bytes: {error:?}");
    }
}

#[test]
fn a_changed_bit_of_a_log_is_noticed_and_the_lines_before_it_are_used() {
    let saves = Saves::new();
    let whole = saves.lines.concat();
    for position in 0..whole.len() {
        let before = whole[..position].iter().filter(|byte| **byte == b'\n').count();
        let mut text = whole.clone();
        text[position] ^= 1 << (position % 8);
        let (state, error) = saves.replayed(&text);
        assert_eq!(state, saves.states[before.saturating_sub(1)], "byte {position}");
        // Without its line break, the last record looks incomplete.
        let is_last = position + 1 == whole.len();
        assert_eq!(error.is_none(), is_last, "byte {position}: {error:?}");
    }
}

#[test]
fn lines_that_are_missing_repeated_or_in_another_order_are_noticed() {
    let saves = Saves::new();
    let [header, first, second, third, fourth] = saves.lines.as_slice() else {
        panic!("five lines");
    };
    let cases: [(&[&Vec<u8>], usize); 5] = [
        (&[header, second, third], 0),
        (&[header, first, third, fourth], 1),
        (&[header, first, first, second], 1),
        (&[header, first, third, second], 1),
        (&[header, first, second, header, third], 2),
    ];
    for (lines, applied) in cases {
        let text: Vec<u8> = lines.iter().copied().flatten().copied().collect();
        let (state, error) = saves.replayed(&text);
        assert_eq!(state, saves.states[applied]);
        let expected = format!("line {}: it is damaged: its checksum is wrong", applied + 2);
        assert_eq!(error, Some(expected));
    }
    assert!(saves.replayed(first).1.is_some(), "without a header");
}

#[test]
fn a_log_of_another_copy_is_ignored() {
    let saves = Saves::new();
    let mut state = saves.copy.clone();
    let other = saves.checksum ^ 1;
    replay(&saves.lines.concat(), other, &mut state, wall(), NOW).unwrap();
    assert_eq!(copy_of(&state), saves.states[0]);
}

#[test]
fn a_log_of_a_later_version_is_rejected() {
    let saves = Saves::new();
    let header = String::from_utf8(saves.lines[0].clone()).unwrap();
    // The checksum of a line is the hash of the checksum before it, as bytes, and the content.
    let rewritten = |from: &str, to: &str| {
        let content = header[DIGITS + 1..].trim_end().replace(from, to);
        let mut hash = crate::store::Fnv::new();
        hash.write(&[0; 8]);
        hash.write(content.as_bytes());
        format!("{:016x} {content}\n", hash.finish())
    };
    assert_eq!(rewritten("", ""), header);
    for (from, to, reason) in [
        ("\"version\":3", "\"version\":4", "version 4 of the format"),
        ("state log", "other log", "not a state file"),
    ] {
        let (_, error) = saves.replayed(rewritten(from, to).as_bytes());
        let error = error.unwrap();
        assert!(error.starts_with("line 1: ") && error.contains(reason), "{error}");
    }
}

/// A damaged key of the checksum hides it. Then the log is ignored, and the state is that of the copy.
#[test]
fn a_changed_bit_of_a_copy_is_noticed_or_changes_nothing() {
    let state = saved(&[(0, false), (2, true), (2, false), (1, true)]);
    let (text, checksum) = encode_copy(&state, wall(), NOW).unwrap();
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone();
            changed[position] ^= 1 << bit;
            if let Ok((decoded, found)) = decode_copy(&changed, wall(), NOW) {
                assert_eq!(copy_of(&decoded), text, "byte {position}");
                assert!(found.is_none_or(|found| found == checksum));
            }
        }
    }
}

#[test]
fn a_copy_has_the_fields_that_older_versions_read() {
    let state = saved(&[(2, true), (1, false)]);
    let mut file: serde_json::Value = serde_json::from_slice(&copy_of(&state)).unwrap();
    let fields = file.as_object_mut().unwrap();
    // They ignore fields that they do not know.
    fields.remove("checksum").unwrap();
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["format", "services", "version", "written"]);
    let (decoded, checksum) = decode_copy(&without_checksum(&state), wall(), NOW).unwrap();
    assert_eq!((copy_of(&decoded), checksum), (copy_of(&state), None));
}

proptest! {
    /// A state that one process encodes and another one decodes has the same Unix times to the nanosecond, although their
    /// monotonic clocks differ.
    #[test]
    fn decoding_reverses_encoding(runs in prop::collection::vec((0..3_u8, any::<bool>()), 0..20), later in 0..1_i64 << 50) {
        let before = WallAnchor::new(&At(1_700_000_000_000_000_000));
        let after = WallAnchor::new(&At(1_700_000_000_000_000_000 + later));
        let saved = saved(&runs);
        let (text, checksum) = encode_copy(&saved, before, NOW).unwrap();
        let (decoded, found) = decode_copy(&text, after, NOW).unwrap();
        prop_assert_eq!(found, Some(checksum));
        let again = encode_copy(&decoded, after, NOW - Duration::from_nanos(later.unsigned_abs()));
        prop_assert_eq!(again.unwrap(), (text, checksum));
        prop_assert_eq!(decoded.services[0].2[0].1.fingerprint, 0xfedc_ba98_7654_3210);
    }

    /// A file of version 1 has no evidence. Its streaks give the same evidence.
    #[test]
    fn evidence_is_found_in_a_file_of_version_1(runs in prop::collection::vec((0..3_u8, any::<bool>()), 0..9)) {
        let wall = wall();
        let saved = saved(&runs);
        let mut file: serde_json::Value = serde_json::from_slice(&copy_of(&saved)).unwrap();
        file.as_object_mut().unwrap().remove("checksum").unwrap();
        file["version"] = 1.into();
        let service = file["services"]["api"].as_object_mut().unwrap();
        service.remove("confirmed").unwrap();
        service.remove("suppressed");
        service.remove("counts_from");
        let check = service["checks"]["http"].as_object_mut().unwrap();
        check.remove("evidence").unwrap();
        let (decoded, checksum) = decode_copy(file.to_string().as_bytes(), wall, NOW).unwrap();
        prop_assert_eq!(checksum, None);
        prop_assert_eq!(decoded.services[0].2[0].1.verdict, saved.services[0].2[0].1.verdict);
        prop_assert_eq!(decoded.services[0].1.conditions.since, saved.services[0].1.conditions.since);
        prop_assert_eq!(decoded.services[0].1.conditions.confirmed, [false; 3]);
        prop_assert_eq!((decoded.services[0].1.is_suppressed, decoded.services[0].1.counts_from), (false, None));
    }

    /// Decoding a file with changed bytes succeeds or fails, but never panics, and no time is after now.
    #[test]
    fn damaged_content_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-\"[]{},:nul".to_vec())), 1..4)) {
        let wall = wall();
        // A checksum would reject them all.
        let mut text = without_checksum(&saved(&[(0, false), (2, true), (2, false), (1, true)]));
        for (index, byte) in changes {
            let index = index.index(text.len());
            text[index] = byte;
        }
        if let Ok((decoded, _)) = decode_copy(&text, wall, NOW) {
            for (_, service, checks) in &decoded.services {
                prop_assert!(service.conditions.since.iter().flatten().all(|since| *since <= NOW));
                prop_assert!(service.counts_from <= Some(NOW));
                prop_assert!(checks.iter().all(|(_, check)| check.last_ended <= Some(NOW)));
            }
            encode_copy(&decoded, wall, NOW).unwrap();
        }
    }
}
