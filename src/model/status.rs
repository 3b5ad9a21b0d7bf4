//! Statuses, conditions, tiers, and the settings used to judge them.

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
    /// The status of a check or a service. See [`Status::rank`] for the order of severity.
    Status {
        /// Works as expected.
        Up = "up",
        /// Works, but not as expected.
        Degraded = "degraded",
        /// Does not work.
        Down = "down",
        /// There is no result, or the last one is stale.
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
    /// A problem of a service that can cause an alert. Each has a since-time and a tolerance.
    Condition {
        /// The service's status is down.
        Down = "down",
        /// The service is not fully up.
        Degraded = "degraded",
        /// A response takes at least `thresholds.down`, whether it succeeds or not.
        Slow = "slow",
    }
}

words! {
    /// How urgent a service's failure is: it selects default tolerances and the severity of alerts.
    Tier {
        /// Failures page someone. The default.
        Critical = "critical",
        /// Failures only notify someone.
        Tolerant = "tolerant",
    }
}

words! {
    /// What a check's failure does to its service.
    Severity {
        /// A failure takes the service down. The default.
        Critical = "critical",
        /// A failure only degrades the service.
        Warning = "warning",
    }
}

/// Limits of the response time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// From this response time on, a successful run is degraded.
    pub degraded: Duration,
    /// From this response time on, a run is down and slow.
    pub down: Duration,
}

/// How long each condition may last before its alert fires.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_is_a_known_problem_before_an_unknown_result() {
        use Status::{Degraded, Down, Unknown, Up};
        for (statuses, expected) in [
            (vec![Up, Up], Up),
            (vec![Up, Unknown], Unknown),
            (vec![Unknown, Degraded, Up], Degraded),
            (vec![Unknown, Degraded, Down], Down),
            (vec![Unknown], Unknown),
            (vec![], Unknown),
        ] {
            assert_eq!(Status::worst(statuses.clone()), expected, "{statuses:?}");
        }
    }
}
