//! The levels above the services: the defaults and the two tiers.

use std::time::Duration;

use super::key_split::{Pieces, split};
use super::monitor::read_monitor;
use super::place::Place;
use super::timings::{Level, Timings};
use super::written::{SharedServiceOptions, TimingOptions};
use super::yaml::{Node, fields, read};
use crate::model::{Tier, Tolerance};

/// How long conditions are borne where nothing is written.
const TOLERANCE: Tolerance = Tolerance {
    down: Duration::from_secs(30),
    degraded: Duration::from_secs(60),
    slow: Duration::from_secs(120),
};

/// What the tier `tolerant` bears for `down` and `degraded` where the file does not say otherwise.
const TOLERANT: Duration = Duration::from_secs(120);

/// The settings of both tiers, over the defaults.
#[derive(Debug)]
pub struct Levels {
    tiers: [(Timings, Tolerance); Tier::ALL.len()],
}

impl Levels {
    /// Reads `monitor`, `defaults` and `tiers` of the document at `place`.
    pub fn read(document: &Node, place: &Place<'_>) -> Self {
        let (defaults, tiers) = (document.get("defaults"), document.get("tiers"));
        let base = (Timings::built_in(), TOLERANCE);
        let base = read_monitor(document.get("monitor"), defaults, place, base);
        let defaults = one(defaults, &place.field("defaults"), Level::Defaults, base);
        let tiers_place = place.field("tiers");
        let written = tiers
            .filter(|tiers| !tiers.is_null())
            .and_then(|tiers| split(tiers, &tiers_place, [&["critical", "tolerant"]]))
            .map(|Pieces { parts: [tiers], .. }| tiers);
        let tier = |tier: Tier| {
            let mut base = defaults.clone();
            if tier == Tier::Tolerant {
                base.1 = Tolerance {
                    down: TOLERANT,
                    degraded: TOLERANT,
                    ..base.1
                };
            }
            let node = written.as_ref().and_then(|tiers| tiers.get(tier.as_str()));
            one(node, &tiers_place.field(tier.as_str()), Level::Tier, base)
        };
        Self {
            tiers: [tier(Tier::Critical), tier(Tier::Tolerant)],
        }
    }

    /// The timing settings of a tier's services.
    pub fn timings(&self, tier: Tier) -> &Timings {
        &self.tiers[tier as usize].0
    }

    /// The tolerance of a tier's services.
    pub fn tolerance(&self, tier: Tier) -> Tolerance {
        self.tiers[tier as usize].1
    }

    /// `tolerance` with what is written on the next level.
    pub fn tolerance_with(tolerance: Tolerance, options: &SharedServiceOptions) -> Tolerance {
        let written = options.tolerance.clone().unwrap_or_default();
        Tolerance {
            down: written.down.map_or(tolerance.down, |text| text.0),
            degraded: written.degraded.map_or(tolerance.degraded, |text| text.0),
            slow: written.slow.map_or(tolerance.slow, |text| text.0),
        }
    }
}

fn one(
    node: Option<&Node>,
    place: &Place<'_>,
    level: Level,
    base: (Timings, Tolerance),
) -> (Timings, Tolerance) {
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return base;
    };
    let parts = [fields::<TimingOptions>(), fields::<SharedServiceOptions>()];
    let Some(Pieces {
        parts: [timing, shared],
        ..
    }) = split(node, place, parts)
    else {
        return base;
    };
    let timing = read::<TimingOptions>(&timing, place).value.unwrap_or_default();
    let shared = read::<SharedServiceOptions>(&shared, place)
        .value
        .unwrap_or_default();
    (
        base.0.with(&timing, level, place),
        Levels::tolerance_with(base.1, &shared),
    )
}
