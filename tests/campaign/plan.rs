//! What happens, by seed: which services there are, what befalls each of them and for how long, and what befalls the
//! exporter and Prometheus meanwhile.

use std::time::Duration;

use crate::judge::{Class, Kind, Tier};

/// Services by what they are. Sixty at least, so that faults overlap in every way.
const HTTP: usize = 36;
const TCP: usize = 20;
const PROCESSES: usize = 8;
/// Each so-manieth service of a kind is of tier tolerant.
const TOLERANT: usize = 6;

/// How long the first fault of a service waits: up to such a part of the campaign, so that the services do not fail in step.
const FIRST: f64 = 0.25;
/// How long a service is left alone after a fault, in seconds. A page for the fault, and its recovery, come within that
/// time; where outages delay them, the next fault waits longer.
const QUIET: [f64; 2] = [100.0, 150.0];
/// How long faults last, in seconds. The short ones are over before any tolerance, less one recheck interval.
const SHORT: [f64; 2] = [2.0, 18.0];
const LONG: [f64; 2] = [90.0, 160.0];
/// How many faults of a hundred are long ones.
const LONG_SHARE: u64 = 35;
/// For how long the notifications are watched after a short fault, at least: a page that it must not raise comes within.
const WATCHED_AFTER: Duration = Duration::from_secs(75);

/// How long exporter and Prometheus are left alone between two outages, and how long an outage takes, in seconds.
const UNDISTURBED: [f64; 2] = [40.0, 90.0];
const OUTAGE: [f64; 2] = [1.0, 25.0];

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// The numbers of a seed; another `stream` of it has other ones.
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

/// What a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A web server, asked by an http check.
    Http,
    /// A server that greets, asked by a tcp check.
    Tcp,
    /// A process, looked for by a process check.
    Process,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its key.
    pub key: String,
    /// What it is.
    pub nature: Nature,
    /// Its tier.
    pub tier: Tier,
}

/// All services.
pub fn services() -> Vec<Service> {
    [
        ("http", Nature::Http, HTTP),
        ("tcp", Nature::Tcp, TCP),
        ("process", Nature::Process, PROCESSES),
    ]
    .into_iter()
    .flat_map(|(name, nature, count)| {
        (0..count).map(move |number| Service {
            key: format!("{name}-{number:02}"),
            nature,
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
    /// What happens.
    pub kind: Kind,
    /// For how long.
    pub lasts: Duration,
}

/// The faults of one service.
pub struct Faults {
    random: Random,
    nature: Nature,
    /// The length of the campaign, in seconds, before the first fault.
    first: Option<f64>,
}

impl Faults {
    /// Of the service with this number, in a campaign of this `length`.
    pub fn new(seed: u64, number: usize, nature: Nature, length: Duration) -> Self {
        Self {
            random: Random::new(seed, 1 + number as u64),
            nature,
            first: Some(length.as_secs_f64()),
        }
    }

    /// For how long the service is left alone now.
    pub fn quiet(&mut self) -> Duration {
        let range = self.first.take().map_or(QUIET, |length| [1.0, FIRST * length]);
        self.random.between(range)
    }

    /// The next fault, so that it and what comes of it fit into what is `left` of the campaign; `None` where none does.
    pub fn next(&mut self, left: Duration) -> Option<Fault> {
        let kinds: &[Kind] = match self.nature {
            Nature::Process => &[Kind::Dead],
            _ => &[Kind::Status, Kind::Hang, Kind::Refuse, Kind::Reset, Kind::Slow],
        };
        let kind = kinds[self.random.below(kinds.len())];
        let is_long = self.random.next() % 100 < LONG_SHARE;
        let (short, long) = (self.random.between(SHORT), self.random.between(LONG));
        let fits = |lasts: &Duration| Class::of(lasts.as_secs_f64()) == Class::Long;
        let long = Some(long.min(left)).filter(fits);
        let short = Some(short).filter(|short| *short + WATCHED_AFTER <= left);
        let lasts = if is_long { long.or(short) } else { short };
        lasts.map(|lasts| Fault { kind, lasts })
    }
}

/// Whom an outage befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The exporter.
    Exporter,
    /// Prometheus.
    Prometheus,
}

/// What an outage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// SIGKILL, and started again.
    Killed,
    /// SIGTERM, and started again.
    Terminated,
    /// SIGSTOP, then SIGCONT.
    Frozen,
}

/// One outage, after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// How long all is well before.
    pub after: Duration,
    /// Who.
    pub victim: Victim,
    /// What.
    pub blow: Blow,
    /// For how long.
    pub lasts: Duration,
}

/// The outages of a campaign, one after the other, without end.
pub fn outages(seed: u64) -> impl Iterator<Item = Outage> {
    let mut random = Random::new(seed, 0);
    std::iter::repeat_with(move || Outage {
        after: random.between(UNDISTURBED),
        victim: [Victim::Exporter, Victim::Prometheus][random.below(2)],
        blow: [Blow::Killed, Blow::Terminated, Blow::Frozen][random.below(3)],
        lasts: random.between(OUTAGE),
    })
}

#[test]
fn a_seed_makes_the_same_campaign_again_and_another_one_another() {
    let of = |seed| -> Vec<_> {
        let left = Duration::from_secs(500);
        let mut faults = Faults::new(seed, 3, Nature::Http, left);
        (0..20).map(|_| (faults.quiet(), faults.next(left))).collect()
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
        let mut faults = Faults::new(1, number, service.nature, length);
        for _ in 0..9 {
            let fault = faults.next(length).unwrap();
            let lasts = fault.lasts.as_secs_f64();
            assert!((2.0..=18.0).contains(&lasts) || (90.0..=160.0).contains(&lasts));
            seen.insert((fault.kind, Class::of(lasts)));
        }
        assert_eq!(faults.next(Duration::from_secs(60)), None);
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}
