//! The settings of healing that services inherit, and how a level overrides the ones before.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::options::{ActionOption, HealOptions};
use super::settings::{Backoff, DEFAULT_REASONS, HealAction, HealLimits, HealMode};
use crate::config::duration::DurationText;
use crate::config::level::Level;
use crate::config::place::{Place, all};
use crate::config::suggest;
use crate::model::Reason;

/// Reasons that `reasons` may add to the default. A restart rarely fixes them, but an operator may know better.
const EXTRA_REASONS: [Reason; 3] = [Reason::Unreachable, Reason::Status, Reason::Assertion];

/// The maximum of `after`: the number of runs that the store has of every check.
pub const MAX_AFTER: u32 = 10;

/// The maximum budget of a service. One that needs more restarts needs a person.
const MAX_BUDGET: u32 = 60;

/// The maximum budget of all services.
const MAX_TOTAL_BUDGET: u32 = 1000;

/// The limits of a backoff. Many services take up to 10 s to restart.
const BACKOFF: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);

/// The longest grace for the start of a unit.
const MAX_START_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The maximum number of items of a command.
const MAX_ITEMS: usize = 64;

/// The maximum size of an item of a command in bytes.
const MAX_ITEM_BYTES: usize = 4096;

/// The settings of one level, complete, that services inherit.
#[derive(Clone, Debug)]
pub struct Inherited {
    pub(super) mode: HealMode,
    pub(super) after: u32,
    pub(super) action: HealAction,
    pub(super) reasons: Vec<Reason>,
    pub(super) budget: u32,
    pub(super) backoff: Backoff,
    pub(super) start_grace: Duration,
    /// The limits of all services.
    pub limits: HealLimits,
}

impl Inherited {
    /// The built-in settings.
    pub fn built_in() -> Self {
        Self {
            mode: HealMode::Off,
            after: 2,
            action: HealAction::Restart,
            reasons: DEFAULT_REASONS.to_vec(),
            budget: 5,
            backoff: Backoff {
                min: Duration::from_secs(30),
                max: Duration::from_secs(15 * 60),
            },
            start_grace: Duration::from_secs(45),
            limits: HealLimits::default(),
        }
    }

    /// Applies the `options` of the next level, which are at `place`. Reports invalid values and ignores them.
    pub fn with(&self, options: &HealOptions, level: Level, place: &Place<'_>) -> Self {
        let mut new = self.clone();
        if let Some(word) = &options.mode {
            // YAML 1.1 writes off as false.
            let mode = HealMode::from_word(if word == "false" { "off" } else { word });
            match mode {
                Some(mode) => new.mode = mode,
                None => drop(place.field("mode").error(suggest::unknown(
                    "mode",
                    word,
                    HealMode::ALL.iter().map(|mode| mode.as_str()),
                ))),
            }
        }
        new.after =
            in_range(options.after, 1..=MAX_AFTER, "runs", &place.field("after")).unwrap_or(new.after);
        if let Some(action) = &options.action {
            new.action = read_action(action, level, &place.field("action")).unwrap_or(new.action);
        }
        if let Some(words) = &options.reasons {
            new.reasons = read_reasons(words, &place.field("reasons")).unwrap_or(new.reasons);
        }
        new.read_limits(options, level, place);
        if level != Level::Service {
            for (key, is_given) in [
                ("unit", options.unit.is_some()),
                ("container", options.container.is_some()),
                ("stateful", options.stateful.is_some()),
            ] {
                if is_given {
                    place
                        .field(key)
                        .error_at_key("this key is only allowed in a service: move it there");
                }
            }
        }
        new
    }

    fn read_limits(&mut self, options: &HealOptions, level: Level, place: &Place<'_>) {
        let budget = options.budget.clone().unwrap_or_default();
        let within = place.field("budget");
        let per_service = within.field("per_service");
        self.budget =
            in_range(budget.per_service, 1..=MAX_BUDGET, "actions", &per_service).unwrap_or(self.budget);
        let total = within.field("total");
        if budget.total.is_some() && level != Level::Defaults {
            total
                .error_at_key("this is the budget of all services together: move it to defaults.heal.budget");
        } else {
            self.limits.total =
                in_range(budget.total, 1..=MAX_TOTAL_BUDGET, "actions", &total).unwrap_or(self.limits.total);
        }
        let backoff = options.backoff.clone().unwrap_or_default();
        let within = place.field("backoff");
        let time = |text, key, setting: &mut Duration| {
            if let Some(DurationText(value)) = text {
                match BACKOFF.contains(&value) {
                    true => *setting = value,
                    false => drop(within.field(key).error(format_args!(
                        "{} is out of range: write 10s to 1d",
                        DurationText(value)
                    ))),
                }
            }
        };
        time(backoff.min, "min", &mut self.backoff.min);
        time(backoff.max, "max", &mut self.backoff.max);
        if self.backoff.min > self.backoff.max {
            within.error(format_args!(
                "min ({}) is longer than max ({}): write a shorter one",
                DurationText(self.backoff.min),
                DurationText(self.backoff.max)
            ));
            self.backoff.max = self.backoff.min;
        }
        match options.start_grace {
            Some(DurationText(grace)) if grace > MAX_START_GRACE => {
                let message = format_args!("{} is too long: write at most 1d", DurationText(grace));
                place.field("start_grace").error(message);
            }
            Some(DurationText(grace)) => self.start_grace = grace,
            None => {}
        }
    }
}

fn in_range(value: Option<u32>, range: RangeInclusive<u32>, unit: &str, place: &Place<'_>) -> Option<u32> {
    let value = value?;
    if range.contains(&value) {
        return Some(value);
    }
    place.error(format_args!(
        "{value} is out of range: write {} to {} {unit}",
        range.start(),
        range.end()
    ));
    None
}

fn read_action(action: &ActionOption, level: Level, place: &Place<'_>) -> Option<HealAction> {
    let argv = match action {
        ActionOption::Restart => return Some(HealAction::Restart),
        ActionOption::Start => return Some(HealAction::Start),
        ActionOption::Command(argv) => argv,
    };
    let place = place.field("command");
    if level != Level::Service {
        place.error_at_key("a command is for one service: move it there");
        return None;
    }
    let advice =
        "write a list of an absolute path and its arguments, such as [/usr/local/lib/upkeep/fix, api]";
    let wrong = match argv.first() {
        None => Some("empty list".to_owned()),
        Some(program) if !program.starts_with('/') => {
            Some("the first item is not an absolute path".to_owned())
        }
        Some(_) if argv.len() > MAX_ITEMS => Some(format!("more than {MAX_ITEMS} items")),
        Some(_) if argv.iter().any(|item| item.len() > MAX_ITEM_BYTES) => {
            Some(format!("an item is longer than {MAX_ITEM_BYTES} bytes"))
        }
        Some(_) if argv.iter().any(|item| item.contains('\0')) => {
            Some("an item contains a zero byte".to_owned())
        }
        Some(_) => None,
    };
    match wrong {
        Some(wrong) => {
            place.error(format_args!("{wrong}: {advice}"));
            None
        }
        None => Some(HealAction::Command(argv.clone())),
    }
}

fn read_reasons(words: &[String], place: &Place<'_>) -> Option<Vec<Reason>> {
    if words.is_empty() {
        place.error("empty list: remove this key for the default, or set mode: off");
        return None;
    }
    let known = || {
        DEFAULT_REASONS
            .iter()
            .chain(&EXTRA_REASONS)
            .map(|reason| reason.as_str())
    };
    let reasons = all(words.iter().enumerate().map(|(index, word)| {
        let place = place.index(index);
        match Reason::from_word(word) {
            Some(reason) if known().any(|known| known == reason.as_str()) => Ok(reason),
            Some(reason) => Err(place.error(format_args!(
                "a restart does not fix {reason}: remove it; allowed are {}",
                known().collect::<Vec<_>>().join(", ")
            ))),
            None => Err(place.error(suggest::unknown("reason", word, known()))),
        }
    }));
    reasons.ok()
}
