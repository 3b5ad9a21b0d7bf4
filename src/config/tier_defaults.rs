//! The settings that services inherit: the defaults and the two tiers.

use std::time::Duration;

use super::heal::{HealLimits, Inherited as InheritedHeal};
use super::key_split::{SplitMapping, split_by_keys};
use super::level::Level;
use super::monitor::read_monitor;
use super::options::{SharedServiceOptions, TimingOptions};
use super::place::Place;
use super::slo::InheritedSlo;
use super::timings::Timings;
use super::yaml::{Node, fields, read};
use crate::model::{Tier, Tolerance};

/// The built-in tolerance.
const TOLERANCE: Tolerance = Tolerance {
    down: Duration::from_secs(30),
    degraded: Duration::from_secs(60),
    slow: Duration::from_secs(120),
};

/// The built-in tolerance of the tier `tolerant` for `down` and `degraded`.
const TOLERANT: Duration = Duration::from_secs(120);

/// The settings of both tiers, with the defaults applied.
#[derive(Debug)]
pub struct TierDefaults {
    tiers: [Inherited; Tier::ALL.len()],
}

/// What services inherit from one level.
#[derive(Clone, Debug)]
struct Inherited {
    timings: Timings,
    tolerance: Tolerance,
    heal: InheritedHeal,
    slo: InheritedSlo,
}

impl TierDefaults {
    /// Reads `monitor`, `defaults` and `tiers` of the document at `place`.
    pub fn read(document: &Node, place: &Place<'_>) -> Self {
        let (defaults, tiers) = (document.get("defaults"), document.get("tiers"));
        let built_in = (Timings::built_in(), TOLERANCE);
        let (timings, tolerance) = read_monitor(document.get("monitor"), defaults, place, built_in);
        let base = Inherited {
            timings,
            tolerance,
            heal: InheritedHeal::built_in(),
            slo: InheritedSlo::default(),
        };
        let defaults = read_level(defaults, &place.field("defaults"), Level::Defaults, base);
        let tiers_place = place.field("tiers");
        let written = tiers
            .filter(|tiers| !tiers.is_null())
            .and_then(|tiers| split_by_keys(tiers, &tiers_place, [&["critical", "tolerant"]]))
            .map(|SplitMapping { parts: [tiers], .. }| tiers);
        let tier = |tier: Tier| {
            let mut base = defaults.clone();
            if tier == Tier::Tolerant {
                base.tolerance = Tolerance {
                    down: TOLERANT,
                    degraded: TOLERANT,
                    ..base.tolerance
                };
            }
            let node = written.as_ref().and_then(|tiers| tiers.get(tier.as_str()));
            read_level(node, &tiers_place.field(tier.as_str()), Level::Tier, base)
        };
        Self {
            tiers: [tier(Tier::Critical), tier(Tier::Tolerant)],
        }
    }

    /// The timing settings of a tier's services.
    pub fn timings(&self, tier: Tier) -> &Timings {
        &self.tiers[tier as usize].timings
    }

    /// The tolerance of a tier's services.
    pub fn tolerance(&self, tier: Tier) -> Tolerance {
        self.tiers[tier as usize].tolerance
    }

    /// The settings of healing of a tier's services.
    pub fn heal(&self, tier: Tier) -> &InheritedHeal {
        &self.tiers[tier as usize].heal
    }

    /// The objective of a tier's services.
    pub fn slo(&self, tier: Tier) -> &InheritedSlo {
        &self.tiers[tier as usize].slo
    }

    /// The limits of healing, which no tier changes.
    pub fn heal_limits(&self) -> HealLimits {
        self.tiers[0].heal.limits
    }

    /// Applies the options of the next level to `tolerance`.
    pub fn tolerance_with(tolerance: Tolerance, options: &SharedServiceOptions) -> Tolerance {
        let written = options.tolerance.clone().unwrap_or_default();
        Tolerance {
            down: written.down.map_or(tolerance.down, |text| text.0),
            degraded: written.degraded.map_or(tolerance.degraded, |text| text.0),
            slow: written.slow.map_or(tolerance.slow, |text| text.0),
        }
    }
}

/// Reads one level and applies it to `base`.
fn read_level(node: Option<&Node>, place: &Place<'_>, level: Level, base: Inherited) -> Inherited {
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return base;
    };
    let parts = [fields::<TimingOptions>(), fields::<SharedServiceOptions>()];
    let Some(SplitMapping {
        parts: [timing, shared],
        ..
    }) = split_by_keys(node, place, parts)
    else {
        return base;
    };
    let timing = read::<TimingOptions>(&timing, place).value.unwrap_or_default();
    let shared = read::<SharedServiceOptions>(&shared, place)
        .value
        .unwrap_or_default();
    let heal = shared.heal.as_ref();
    Inherited {
        timings: base.timings.with(&timing, level, place),
        tolerance: TierDefaults::tolerance_with(base.tolerance, &shared),
        heal: heal.map_or_else(
            || base.heal.clone(),
            |options| base.heal.with(options, level, &place.field("heal")),
        ),
        slo: base.slo.with(shared.slo.as_ref(), place),
    }
}
