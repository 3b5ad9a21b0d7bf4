//! Compares assessments with a naive model that keeps all beats, over random beats, absences of the exporter, restarts, reloads and
//! steps of the wall clock.

use std::sync::Arc;

use proptest::prelude::*;

use super::{TestClock, at, seconds};
use crate::config::heartbeat::{JobSchedule, Reference};
use crate::heartbeat::assess::{Assessment, Now, Rules, Verdict, assess};
use crate::heartbeat::away::AwayTimes;
use crate::heartbeat::file;
use crate::heartbeat::job::{Beat, Job, LATE_START, MAX_BEATS, REPEATS};
use crate::model::{BeatKind, CheckId, CheckName, Clock, JobState, Reason, ServiceKey, WallAnchor};

/// What happens, and the seconds that pass before it.
#[derive(Clone, Debug)]
enum Event {
    Beat(BeatKind, Option<u8>),
    /// The exporter is frozen or does not run for this time.
    Away(i64),
    Restart(i64),
    Reload(Settings),
    Step(i64),
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    every: i64,
    grace: i64,
    degraded: Option<i64>,
    down: Option<i64>,
}

impl Settings {
    fn rules(self) -> Rules {
        Rules {
            schedule: JobSchedule::Every(seconds(self.every)),
            grace: seconds(self.grace),
            degraded: self.degraded.map(seconds),
            down: self.down.map(seconds),
        }
    }

    fn limit(self) -> i64 {
        self.down.unwrap_or(self.grace)
    }
}

/// Everything that happened. Times are in seconds.
#[derive(Debug, Default)]
struct Naive {
    /// The time, the kind, the run, and how long a run might take then.
    beats: Vec<(i64, BeatKind, Option<u8>, i64)>,
    away: Vec<(i64, i64)>,
}

impl Naive {
    fn last(&self, kinds: &[BeatKind]) -> Option<&(i64, BeatKind, Option<u8>, i64)> {
        self.beats.iter().rev().find(|beat| kinds.contains(&beat.1))
    }

    /// The starts of the runs that are open after the first `count` beats.
    fn open(&self, count: usize) -> Vec<i64> {
        let beats = &self.beats[..count];
        let is_open = |(index, start): &(usize, &(i64, BeatKind, Option<u8>, i64))| {
            let ends = |end: &(i64, BeatKind, Option<u8>, i64)| {
                end.2 == start.2 || end.1 == BeatKind::Success && end.0 - start.0 >= end.3
            };
            start.1 == BeatKind::Start && !self.is_late_start(*index) && !beats[index + 1..].iter().any(ends)
        };
        let open = beats.iter().enumerate().filter(is_open);
        open.map(|(_, start)| start.0).collect()
    }

    /// The first start since the last success, or of a run that was open then.
    fn started_since(&self) -> Option<i64> {
        let success = self.beats.iter().rposition(|beat| beat.1 == BeatKind::Success);
        let after = success.map_or(0, |position| position + 1);
        let later = (after..self.beats.len())
            .filter(|index| self.beats[*index].1 == BeatKind::Start && !self.is_late_start(*index))
            .map(|index| self.beats[index].0);
        self.open(after).into_iter().chain(later).min()
    }

    /// The last stored beat of the same run, if it has an id.
    fn before(&self, position: usize) -> Option<usize> {
        let run = self.beats[position].2?;
        let stored = position.saturating_sub(MAX_BEATS)..position;
        stored.rev().find(|index| self.beats[*index].2 == Some(run))
    }

    /// Whether it is a start that arrives just after the end of its run, which had no start.
    fn is_late_start(&self, position: usize) -> bool {
        let (time, kind, ..) = self.beats[position];
        let follows = |end: usize| {
            self.beats[end].1 != BeatKind::Start
                && seconds(time - self.beats[end].0) < LATE_START
                && self.run_time(end).is_none()
        };
        kind == BeatKind::Start && self.before(position).is_some_and(follows)
    }

    /// The run time of the run that a beat ends.
    fn run_time(&self, position: usize) -> Option<i64> {
        let (ended, kind, run, _) = self.beats[position];
        let last = (0..position)
            .rev()
            .find(|index| self.beats[*index].2 == run && !self.is_late_start(*index));
        // Success and fail end a run, and so does a success of another run if this one took too long.
        if let Some(start) = last
            .map(|index| self.beats[index])
            .filter(|beat| beat.1 == BeatKind::Start)
            && self.open(position).contains(&start.0)
        {
            return Some(ended - start.0);
        }
        // The same end again.
        let first = self.before(position)?;
        let is_same = self.beats[first].1 == kind && seconds(ended - self.beats[first].0) < REPEATS;
        is_same.then(|| self.run_time(first)).flatten()
    }

    /// The run time of the last success.
    fn success_run_time(&self) -> Option<i64> {
        let position = self.beats.iter().rposition(|beat| beat.1 == BeatKind::Success)?;
        self.run_time(position)
    }

    /// When the exporter was back after the last time that may hide a success between these times.
    fn hidden_until(&self, earliest: i64, latest: i64, since: i64) -> Option<i64> {
        let relevant = self.away.iter().filter(|away| away.1 > since);
        let hiding = relevant.filter(|away| away.0 <= latest && away.1 >= earliest);
        hiding.map(|away| away.1).max()
    }

    /// The state, the level (0 to 2), its reason, and when the job is due, late and down.
    fn assess(&self, settings: Settings, now: i64) -> (JobState, u8, Option<Reason>, [i64; 3]) {
        let Settings { every, grace, .. } = settings;
        let since = self.last(&[BeatKind::Success]).map_or(0, |beat| beat.0);
        let due = since + every;
        let (mut missed, mut late) = (due, due);
        let open = self.open(self.beats.len());
        let started = self.started_since().filter(|_| !open.is_empty());
        let run = started.map(|started| (started, started + settings.limit()));
        for _ in 0..3 {
            let of_run = run.filter(|_| missed == due);
            let of_run = of_run.and_then(|(start, end)| self.hidden_until(start, end, since));
            let of_schedule = self.hidden_until(missed - grace, missed + grace, since);
            let Some(until) = of_schedule.max(of_run) else {
                break;
            };
            late = late.max(until + grace);
            missed += every;
            while missed <= until + grace {
                missed += every;
            }
        }
        let mut deadline = missed + grace;
        if let Some((_, end)) = run {
            deadline = deadline.max(end);
            late = match missed > due {
                true => late.max(due + grace).max(end),
                false => deadline,
            };
        }
        let overdue = u8::from(now >= late) + u8::from(now >= deadline);
        let level_of = |time: i64, is_certain: bool| {
            let reaches = |limit: Option<i64>| limit.is_some_and(|limit| time >= limit);
            match (reaches(settings.down), reaches(settings.degraded)) {
                (true, _) if is_certain => 2,
                (true, _) | (_, true) => 1,
                _ => 0,
            }
        };
        let levels = open.iter().map(|started| {
            let was_away = self.away.iter().any(|away| away.1 > *started);
            level_of(now - started, !was_away)
        });
        let running = levels.max().unwrap_or(0);
        let slow = running.max(self.success_run_time().map_or(0, |time| level_of(time, true)));
        let last = self.last(&[BeatKind::Success, BeatKind::Fail]);
        let times = [due, late, deadline];
        if last.is_some_and(|beat| beat.1 == BeatKind::Fail) {
            return (JobState::Failed, 2, Some(Reason::Status), times);
        }
        let level = overdue.max(slow);
        let reason = (level > 0).then_some(if overdue == level {
            Reason::Timeout
        } else {
            Reason::Slow
        });
        let state = match level {
            2 => JobState::Down,
            _ if now >= late => JobState::Late,
            _ if !open.is_empty() => JobState::Running,
            _ if self.beats.is_empty() => JobState::New,
            _ => JobState::Up,
        };
        (state, level, reason, times)
    }
}

fn level(assessment: &Assessment) -> (u8, Option<Reason>) {
    match assessment.verdict {
        Verdict::Up => (0, None),
        Verdict::Degraded(reason, _) => (1, Some(reason)),
        Verdict::Down(reason, _) => (2, Some(reason)),
    }
}

/// The job and everything that it depends on.
struct World {
    clock: Arc<TestClock>,
    now: i64,
    wall: WallAnchor,
    away: AwayTimes,
    job: Job,
    settings: Settings,
    naive: Naive,
}

impl World {
    fn new(settings: Settings) -> Self {
        let clock = TestClock::new();
        let wall = WallAnchor::new(&*clock);
        let mut away = AwayTimes::default();
        away.start(at(0));
        Self {
            job: Job::new(Reference {
                at: at(0),
                wall: wall.nanos(at(0)),
            }),
            naive: Naive::default(),
            now: 0,
            clock,
            wall,
            away,
            settings,
        }
    }

    /// Lets time pass while the exporter runs.
    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            assert!(!self.away.tick(at(self.now)));
        }
        self.clock.set(self.now);
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Beat(kind, run) => {
                let beat = Beat {
                    kind: *kind,
                    exit_status: None,
                    run_id: run.map(|run| run.to_string()),
                };
                let reference = Reference {
                    at: at(self.now),
                    wall: self.wall.nanos(at(self.now)),
                };
                self.job
                    .record(beat, reference, self.settings.rules().run_limit());
                let limit = self.settings.limit();
                self.naive.beats.push((self.now, *kind, *run, limit));
            }
            Event::Away(lasts) => {
                // Shorter pauses do not count.
                let lasts = lasts + 11;
                self.naive.away.push((self.now, self.now + lasts));
                self.now += lasts;
                self.clock.set(self.now);
                assert!(self.away.tick(at(self.now)));
            }
            Event::Restart(lasts) => {
                let id = CheckId {
                    service: ServiceKey::new("s"),
                    check: CheckName::new("c"),
                };
                let text = file::encode([(&id, &self.job)].into_iter(), &self.away, self.wall).unwrap();
                self.naive.away.push((self.now, self.now + lasts));
                self.now += lasts;
                self.clock.set(self.now);
                let mut saved = file::decode(&text, self.wall, self.clock.now()).unwrap();
                saved.away.start(at(self.now));
                self.away = saved.away;
                self.job = saved.jobs.remove(&id).unwrap();
            }
            Event::Reload(settings) => self.settings = *settings,
            Event::Step(seconds) => {
                self.clock.step(*seconds);
                self.wall.update(&*self.clock);
            }
        }
    }

    fn assess(&self, now: i64) -> Assessment {
        let now = Now {
            at: at(now),
            wall: self.wall,
            away: &self.away,
        };
        assess(&self.job, &self.settings.rules(), now)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let assessment = self.assess(self.now);
        let (state, expected_level, reason, [due, _, deadline]) = self.naive.assess(self.settings, self.now);
        let found = (assessment.state, level(&assessment));
        prop_assert_eq!(found, (state, (expected_level, reason)), "{:?}", self.naive);
        prop_assert_eq!(
            (assessment.due, assessment.deadline),
            (Some(at(due)), Some(at(deadline)))
        );
        // Without a beat, nothing changes until the predicted change, and something may change then.
        for later in self.now + 1..self.now + 60 {
            let next = self.assess(later);
            if assessment.next_change.is_some_and(|change| change <= at(later)) {
                break;
            }
            prop_assert_eq!(
                (next.state, level(&next)),
                found,
                "{} of {:?}",
                later,
                assessment.next_change
            );
        }
        Ok(())
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        1_i64..60,
        1_i64..40,
        prop::option::of(1_i64..30),
        prop::option::of(1_i64..60),
    )
        .prop_map(|(every, grace, degraded, down)| Settings {
            every,
            grace,
            degraded: degraded.map(|degraded| down.map_or(degraded, |down| degraded.min(down))),
            down,
        })
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(BeatKind::ALL);
    prop_oneof![
        8 => (kind, prop::option::of(0_u8..3)).prop_map(|(kind, run)| Event::Beat(kind, run)),
        1 => (1_i64..100).prop_map(Event::Away),
        1 => (1_i64..100).prop_map(Event::Restart),
        1 => settings().prop_map(Event::Reload),
        1 => (-100_000_i64..100_000).prop_map(Event::Step),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn assessments_follow_the_definition(
        first in settings(),
        events in prop::collection::vec((0_i64..40, event()), 0..25),
        last in 0_i64..200,
    ) {
        let mut world = World::new(first);
        for (pause, event) in &events {
            world.pass(*pause);
            world.check()?;
            world.happen(event);
            world.check()?;
        }
        world.pass(last);
        world.check()?;
    }
}

const HOURLY: Settings = Settings {
    every: 3600,
    grace: 600,
    degraded: None,
    down: None,
};

fn state_at(world: &World, second: i64) -> (JobState, u8) {
    let assessment = world.assess(second);
    (assessment.state, level(&assessment).0)
}

#[test]
fn a_job_that_never_reports_is_late_and_then_down() {
    let world = World::new(HOURLY);
    assert_eq!(state_at(&world, 3599), (JobState::New, 0));
    assert_eq!(state_at(&world, 3600), (JobState::Late, 1));
    assert_eq!(state_at(&world, 4200), (JobState::Down, 2));
}

/// An exporter that was frozen receives the start after the end. Nothing would end that run.
#[test]
fn a_start_that_arrives_after_its_end_starts_nothing() {
    let settings = Settings {
        down: Some(1200),
        ..HOURLY
    };
    let mut world = World::new(settings);
    world.pass(100);
    world.happen(&Event::Beat(BeatKind::Success, Some(1)));
    world.happen(&Event::Beat(BeatKind::Start, Some(1)));
    assert_eq!(state_at(&world, 101), (JobState::Up, 0));
    assert_eq!(state_at(&world, 1301), (JobState::Up, 0));
}

/// The response to the first one was lost.
#[test]
fn a_success_that_is_repeated_keeps_its_run_time() {
    let settings = Settings {
        down: Some(1200),
        ..HOURLY
    };
    let mut world = World::new(settings);
    world.happen(&Event::Beat(BeatKind::Start, Some(1)));
    world.pass(1300);
    for _ in 0..2 {
        world.happen(&Event::Beat(BeatKind::Success, Some(1)));
        assert_eq!(state_at(&world, 1301).1, 2, "slow");
    }
}

#[test]
fn a_job_that_starts_and_dies_again_and_again_is_down() {
    let mut world = World::new(HOURLY);
    world.pass(3000);
    for _ in 0..4 {
        world.happen(&Event::Beat(BeatKind::Start, None));
        world.pass(300);
    }
    // 4200 s: the first start has had its grace time long ago.
    assert_eq!(state_at(&world, 4199), (JobState::Running, 0));
    assert_eq!(state_at(&world, 4200), (JobState::Down, 2));
}

#[test]
fn a_job_whose_beat_may_be_lost_is_late_but_not_down() {
    let mut world = World::new(HOURLY);
    world.happen(&Event::Beat(BeatKind::Success, None));
    world.pass(3500);
    world.happen(&Event::Restart(20));
    assert_eq!(state_at(&world, 3600), (JobState::Up, 0));
    assert_eq!(state_at(&world, 4119), (JobState::Up, 0));
    assert_eq!(state_at(&world, 4120), (JobState::Late, 1));
    assert_eq!(state_at(&world, 7799), (JobState::Late, 1));
    assert_eq!(state_at(&world, 7800), (JobState::Down, 2));
    // One that was down before is still down.
    let mut dead = World::new(HOURLY);
    dead.pass(4300);
    dead.happen(&Event::Restart(20));
    assert_eq!(state_at(&dead, 4320), (JobState::Down, 2));
}

#[test]
fn an_exporter_that_is_often_away_still_reports_a_dead_job() {
    let mut world = World::new(HOURLY);
    let mut second = 0;
    while state_at(&world, second).0 != JobState::Down {
        world.pass(1200);
        world.happen(&Event::Restart(1));
        second = world.now;
        assert!(second < 5 * 3600, "the job is never down");
    }
}

#[test]
fn restarts_at_other_times_do_not_use_up_the_excuses() {
    let mut world = World::new(HOURLY);
    world.happen(&Event::Beat(BeatKind::Success, None));
    for _ in 0..5 {
        world.pass(100);
        world.happen(&Event::Restart(1));
    }
    world.pass(3500 - 505);
    // The beat at 3600 s is lost.
    world.happen(&Event::Away(200));
    assert_eq!(state_at(&world, 4200), (JobState::Up, 0));
    assert_eq!(state_at(&world, 3711 + 600), (JobState::Late, 1));
    assert_eq!(state_at(&world, 7799), (JobState::Late, 1));
    assert_eq!(state_at(&world, 7800), (JobState::Down, 2));
}

#[test]
fn a_run_whose_end_may_be_lost_does_not_hide_one_that_hangs() {
    let mut world = World::new(Settings {
        every: 86_400,
        down: Some(600),
        ..HOURLY
    });
    world.happen(&Event::Beat(BeatKind::Start, Some(1)));
    world.happen(&Event::Restart(20));
    assert_eq!(state_at(&world, 700), (JobState::Running, 1));
    world.happen(&Event::Beat(BeatKind::Start, Some(2)));
    assert_eq!(state_at(&world, 619), (JobState::Running, 1));
    assert_eq!(state_at(&world, 620), (JobState::Down, 2));
}

#[test]
fn a_run_whose_end_may_be_lost_is_late_but_not_down() {
    let mut world = World::new(Settings {
        every: 7200,
        down: Some(3600),
        ..HOURLY
    });
    world.happen(&Event::Beat(BeatKind::Success, None));
    world.pass(7200);
    world.happen(&Event::Beat(BeatKind::Start, None));
    world.pass(2100);
    // Its end is lost, long after the success was due.
    world.happen(&Event::Away(600));
    assert_eq!(state_at(&world, 10_799), (JobState::Running, 0));
    assert_eq!(state_at(&world, 10_800), (JobState::Late, 1));
    assert_eq!(state_at(&world, 14_999), (JobState::Late, 1));
    assert_eq!(state_at(&world, 15_000), (JobState::Down, 2));
}
