//! Properties, compared with a naive model: a list with the status of every second.

use proptest::prelude::*;

use super::*;

/// What happens before an observation.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many seconds pass.
    Wait(i64),
    /// The status changes; it began so many seconds before.
    Change(Status, i64),
    /// A window begins or ends.
    Toggle,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_i64..15).prop_map(Event::Wait),
        1 => (16_i64..400).prop_map(Event::Wait),
        4 => (prop::sample::select(Status::ALL), 0_i64..200).prop_map(|(status, ago)| Event::Change(status, ago)),
        1 => Just(Event::Toggle),
    ]
}

/// The naive model.
struct Model {
    seconds: Vec<Option<PastStatus>>,
    status: Status,
    since: i64,
    last: Option<i64>,
    in_maintenance: bool,
}

impl Model {
    fn observe(&mut self, now: i64, change: Option<(i64, Status)>, in_maintenance: bool) {
        let begin = self.last.filter(|last| now - last <= 15).unwrap_or(now);
        if begin == now && self.last != Some(now) {
            self.since = now;
        }
        self.seconds
            .resize(begin.max(self.seconds.len() as i64) as usize, None);
        // The window that begins now has no time yet, and the one that ends now had all of it.
        let counted = if self.in_maintenance && begin < now {
            PastStatus::Maintenance
        } else {
            self.status.into()
        };
        self.seconds.resize(now as usize, Some(counted));
        if let Some((since, status)) = change {
            let since = since.clamp(self.since, now);
            for second in &mut self.seconds[since as usize..] {
                if second.is_some_and(|past| past != PastStatus::Maintenance) {
                    *second = Some(status.into());
                }
            }
            (self.status, self.since) = (status, since);
        }
        (self.last, self.in_maintenance) = (Some(now), in_maintenance);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn buckets_match_a_list_of_seconds(events in prop::collection::vec(any_event(), 1..60)) {
        let mut test = Test::new();
        let mut model = Model {
            seconds: Vec::new(), status: Status::Up, since: 0, last: None, in_maintenance: false,
        };
        test.observe(&[], &[]);
        model.observe(0, None, false);
        let mut now = 0;
        for event in events {
            let change = match event {
                Event::Wait(seconds) => { now += seconds; None }
                Event::Change(status, ago) if status != test.status => Some((now - ago, status)),
                Event::Change(..) => None,
                Event::Toggle => {
                    test.maintenance = match test.maintenance {
                        None => window(now, now + 1_000_000),
                        Some(_) => None,
                    };
                    None
                }
            };
            test.clock.set(now);
            test.observe(change.as_slice(), &[]);
            model.observe(now, change, test.maintenance.is_some());
        }
        for begin in (0..now).step_by(300) {
            let end = (begin + 300).min(now);
            let slice = &model.seconds[begin as usize..end as usize];
            let expected: Vec<i64> = PastStatus::ALL
                .iter()
                .map(|status| slice.iter().filter(|second| **second == Some(*status)).count() as i64)
                .collect();
            let (found, no_data) = test.seconds(begin, begin + 300);
            prop_assert_eq!(found.to_vec(), expected, "from {} until {}", begin, end);
            prop_assert_eq!(no_data, end - begin - found.iter().sum::<i64>());
        }
    }

    #[test]
    fn steps_of_the_clock_change_no_more_than_they_are_long(
        events in prop::collection::vec((1_i64..15, -4000_i64..4000, 0_u8..10), 1..80),
    ) {
        let mut test = Test::new();
        test.observe(&[], &[]);
        let (mut now, mut steps) = (0, 0);
        for (seconds, step, chance) in events {
            now += seconds;
            // Not before the first second, whose bucket would be outside of the range below.
            if chance == 0 {
                test.clock.step(step);
                steps += step.abs();
            }
            test.clock.set(now);
            test.observe(&[], &[]);
        }
        for step in Step::ALL {
            let range = Range { from: BEGIN - 86_400 * 10, to: BEGIN + 86_400 * 10 };
            let series = &test.recorder.services()[&ServiceKey::new("api")];
            let known: u64 = series.series(step).iter().map(|bucket| bucket.known_millis()).sum();
            let known = known as i64 / 1000;
            prop_assert!(known <= now && known >= now - steps, "{known} of {now} s, steps of {steps} s");
            prop_assert!(test.totals(range.from, range.to, step).millis[0] / 1000 <= known as u64);
        }
    }
}
