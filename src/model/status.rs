//! Statuses, conditions, tiers and the settings that they are judged by.

use std::time::Duration;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in configuration, labels and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value that `text` names.
            pub fn from_word(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The status of a check or a service. The order is not one of severity: `Unknown` is the lack of a verdict.
    Status {
        /// Succeeds, in time.
        Up = "up",
        /// Works, but not as it should.
        Degraded = "degraded",
        /// Does not work.
        Down = "down",
        /// Nothing is known, or what is known is too old.
        Unknown = "unknown",
    }
}

impl Status {
    /// Every status, worst first. A known problem is worse than the lack of a verdict.
    pub const WORST_FIRST: [Self; 4] = [Self::Down, Self::Degraded, Self::Unknown, Self::Up];

    /// The position in [`Status::WORST_FIRST`]: sorting by it puts the worst first.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Degraded => 1,
            Self::Unknown => 2,
            Self::Up => 3,
        }
    }

    /// The worst of several statuses; `Unknown` if there are none.
    pub fn worst(statuses: impl IntoIterator<Item = Self>) -> Self {
        let worst = statuses.into_iter().min_by_key(|status| status.rank());
        worst.unwrap_or(Self::Unknown)
    }
}

words! {
    /// What alerts wait for; each has a since-time and a tolerance.
    Condition {
        /// The service's status is down.
        Down = "down",
        /// The service is not fully up.
        Degraded = "degraded",
        /// A response takes at least `thresholds.down`, whether it then succeeds or not.
        Slow = "slow",
    }
}

words! {
    /// How long a service's failure is borne, and how loudly it is told.
    Tier {
        /// The default: somebody is paged.
        Critical = "critical",
        /// Somebody is told.
        Tolerant = "tolerant",
    }
}

words! {
    /// How much a check's failure weighs for its service.
    Severity {
        /// The default: its failure takes the service down.
        Critical = "critical",
        /// Its failure only degrades the service.
        Warning = "warning",
    }
}

/// Limits of the response time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// At or above it, a successful run is degraded.
    pub degraded: Duration,
    /// At or above it, a run counts as down, and as slow.
    pub down: Duration,
}

/// How long each condition is borne before its alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// For [`Condition::Down`].
    pub down: Duration,
    /// For [`Condition::Degraded`].
    pub degraded: Duration,
    /// For [`Condition::Slow`].
    pub slow: Duration,
}

impl Tolerance {
    /// The tolerance of one condition.
    pub const fn of(&self, condition: Condition) -> Duration {
        match condition {
            Condition::Down => self.down,
            Condition::Degraded => self.degraded,
            Condition::Slow => self.slow,
        }
    }
}
