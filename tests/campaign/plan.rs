//! The plan of a campaign, derived from a seed: services, their faults, and outages of the exporter and Prometheus.

use std::time::Duration;

use crate::judge::{FaultKind, FaultLength, Tier};

/// Number of services of every kind. At least sixty in total, so that faults overlap.
const HTTP: usize = 36;
const TCP: usize = 20;
const PROCESSES: usize = 8;
/// Every `TOLERANT`-th service of a kind has tier tolerant.
const TOLERANT: usize = 6;

/// The first fault of a service begins within this ratio of the campaign, so that services do not fail simultaneously.
const FIRST_FAULT: f64 = 0.25;
/// Pause of a service after a fault, in seconds. The page and the recovery arrive within the pause. If outages delay them, the
/// next fault waits longer.
const PAUSE: [f64; 2] = [100.0, 150.0];
/// Duration of faults, in seconds. Short faults end before any tolerance minus one recheck interval.
const SHORT: [f64; 2] = [2.0, 18.0];
const LONG: [f64; 2] = [90.0, 160.0];
/// Percentage of long faults.
const LONG_PERCENT: u64 = 35;
/// Minimum time to record notifications after a short fault. A problem page would arrive within this time.
const RECORDED_AFTER: Duration = Duration::from_secs(75);

/// Pause between two outages, and duration of an outage, in seconds.
const OUTAGE_PAUSE: [f64; 2] = [40.0, 90.0];
const OUTAGE: [f64; 2] = [1.0, 25.0];

/// Pseudorandom numbers, reproducible by seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// The numbers of a seed. Every `stream` has different numbers.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.next() ^ stream;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn between(&mut self, [low, high]: [f64; 2]) -> Duration {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(low + share * (high - low))
    }
}

/// The kind of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// A web server with an http check.
    Http,
    /// A server with a greeting and a tcp check.
    Tcp,
    /// A process with a process check.
    Process,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    pub key: String,
    pub kind: ServiceKind,
    pub tier: Tier,
}

/// All services.
pub fn services() -> Vec<Service> {
    [
        ("http", ServiceKind::Http, HTTP),
        ("tcp", ServiceKind::Tcp, TCP),
        ("process", ServiceKind::Process, PROCESSES),
    ]
    .into_iter()
    .flat_map(|(name, kind, count)| {
        (0..count).map(move |number| Service {
            key: format!("{name}-{number:02}"),
            kind,
            tier: if number % TOLERANT == TOLERANT - 1 {
                Tier::Tolerant
            } else {
                Tier::Critical
            },
        })
    })
    .collect()
}

/// The next fault of a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    pub lasts: Duration,
}

/// The faults of one service.
pub struct Faults {
    random: Random,
    kind: ServiceKind,
    /// The length of the campaign in seconds; `None` after the first fault.
    first: Option<f64>,
}

impl Faults {
    /// The faults of service `number` in a campaign of this `length`.
    pub fn new(seed: u64, number: usize, kind: ServiceKind, length: Duration) -> Self {
        Self {
            random: Random::new(seed, 1 + number as u64),
            kind,
            first: Some(length.as_secs_f64()),
        }
    }

    /// The pause before the next fault.
    pub fn pause(&mut self) -> Duration {
        let range = self
            .first
            .take()
            .map_or(PAUSE, |length| [1.0, FIRST_FAULT * length]);
        self.random.between(range)
    }

    /// The next fault whose notifications fit into the time `left`; `None` if no fault fits.
    pub fn next(&mut self, left: Duration) -> Option<Fault> {
        let kinds: &[FaultKind] = match self.kind {
            ServiceKind::Process => &[FaultKind::Dead],
            _ => &[
                FaultKind::Status,
                FaultKind::Hang,
                FaultKind::Refuse,
                FaultKind::Reset,
                FaultKind::Slow,
            ],
        };
        let kind = kinds[self.random.below(kinds.len())];
        let is_long = self.random.next() % 100 < LONG_PERCENT;
        let (short, long) = (self.random.between(SHORT), self.random.between(LONG));
        let fits = |lasts: &Duration| FaultLength::of(lasts.as_secs_f64()) == FaultLength::Long;
        let long = Some(long.min(left)).filter(fits);
        let short = Some(short).filter(|short| *short + RECORDED_AFTER <= left);
        let lasts = if is_long { long.or(short) } else { short };
        lasts.map(|lasts| Fault { kind, lasts })
    }
}

/// The server that has an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Exporter,
    Prometheus,
}

/// The kind of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutageKind {
    /// SIGKILL, then a new start.
    Killed,
    /// SIGTERM, then a new start.
    Terminated,
    /// SIGSTOP, then SIGCONT.
    Frozen,
}

/// One outage, after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// Pause before the outage.
    pub after: Duration,
    pub victim: Victim,
    pub kind: OutageKind,
    pub lasts: Duration,
}

/// An endless sequence of outages.
pub fn outages(seed: u64) -> impl Iterator<Item = Outage> {
    let mut random = Random::new(seed, 0);
    std::iter::repeat_with(move || Outage {
        after: random.between(OUTAGE_PAUSE),
        victim: [Victim::Exporter, Victim::Prometheus][random.below(2)],
        kind: [OutageKind::Killed, OutageKind::Terminated, OutageKind::Frozen][random.below(3)],
        lasts: random.between(OUTAGE),
    })
}

#[test]
fn the_seed_determines_the_campaign() {
    let of = |seed| -> Vec<_> {
        let left = Duration::from_secs(500);
        let mut faults = Faults::new(seed, 3, ServiceKind::Http, left);
        (0..20).map(|_| (faults.pause(), faults.next(left))).collect()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    let first = |seed| outages(seed).take(9).collect::<Vec<_>>();
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn there_are_sixty_services_and_faults_of_every_kind_and_length() {
    let services = services();
    assert!(services.len() >= 60);
    let mut seen = std::collections::BTreeSet::new();
    for (number, service) in services.iter().enumerate() {
        let length = Duration::from_secs(1000);
        let mut faults = Faults::new(1, number, service.kind, length);
        for _ in 0..9 {
            let fault = faults.next(length).unwrap();
            let lasts = fault.lasts.as_secs_f64();
            assert!((2.0..=18.0).contains(&lasts) || (90.0..=160.0).contains(&lasts));
            seen.insert((fault.kind, FaultLength::of(lasts)));
        }
        assert_eq!(faults.next(Duration::from_secs(60)), None);
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}
