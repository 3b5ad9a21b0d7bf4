//! Properties of the file format: states survive encoding, and damaged files do no harm.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::Tolerance;
use crate::verdict::{CheckInput, Confirmation, Counts, Judgement, Rules, Run};

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

proptest! {
    /// A state that one process encodes and another one decodes has the same Unix times to the nanosecond, although their
    /// monotonic clocks differ.
    #[test]
    fn decoding_reverses_encoding(runs in prop::collection::vec((0..3_u8, any::<bool>()), 0..20), later in 0..1_i64 << 50) {
        let before = WallAnchor::new(&At(1_700_000_000_000_000_000));
        let after = WallAnchor::new(&At(1_700_000_000_000_000_000 + later));
        let saved = saved(&runs);
        let text = encode(&saved, before, NOW).unwrap();
        let decoded = decode(&text, after, NOW).unwrap();
        prop_assert_eq!(encode(&decoded, after, NOW - Duration::from_nanos(later.unsigned_abs())).unwrap(), text);
        prop_assert_eq!(decoded.services[0].2[0].1.fingerprint, 0xfedc_ba98_7654_3210);
    }

    /// A file of version 1 has no evidence. Its streaks give the same evidence.
    #[test]
    fn evidence_is_found_in_a_file_of_version_1(runs in prop::collection::vec((0..3_u8, any::<bool>()), 0..9)) {
        let wall = WallAnchor::new(&At(1_700_000_000_000_000_000));
        let saved = saved(&runs);
        let mut file: serde_json::Value = serde_json::from_slice(&encode(&saved, wall, NOW).unwrap()).unwrap();
        file["version"] = 1.into();
        let service = file["services"]["api"].as_object_mut().unwrap();
        service.remove("confirmed").unwrap();
        service.remove("suppressed");
        service.remove("counts_from");
        let check = service["checks"]["http"].as_object_mut().unwrap();
        check.remove("evidence").unwrap();
        let decoded = decode(file.to_string().as_bytes(), wall, NOW).unwrap();
        prop_assert_eq!(decoded.services[0].2[0].1.verdict, saved.services[0].2[0].1.verdict);
        prop_assert_eq!(decoded.services[0].1.conditions.since, saved.services[0].1.conditions.since);
        prop_assert_eq!(decoded.services[0].1.conditions.confirmed, [false; 3]);
        prop_assert_eq!((decoded.services[0].1.is_suppressed, decoded.services[0].1.counts_from), (false, None));
    }

    /// Decoding a file with changed bytes succeeds or fails, but never panics, and no time is after now.
    #[test]
    fn damaged_content_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-\"[]{},:nul".to_vec())), 1..4)) {
        let wall = WallAnchor::new(&At(1_700_000_000_000_000_000));
        let mut text = encode(&saved(&[(0, false), (2, true), (2, false), (1, true)]), wall, NOW).unwrap();
        for (index, byte) in changes {
            let index = index.index(text.len());
            text[index] = byte;
        }
        if let Ok(decoded) = decode(&text, wall, NOW) {
            for (_, service, checks) in &decoded.services {
                prop_assert!(service.conditions.since.iter().flatten().all(|since| *since <= NOW));
                prop_assert!(service.counts_from <= Some(NOW));
                prop_assert!(checks.iter().all(|(_, check)| check.last_ended <= Some(NOW)));
            }
            encode(&decoded, wall, NOW).unwrap();
        }
    }
}
