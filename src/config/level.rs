//! The levels that settings are written at.

/// The level that a setting was written at. Later levels override earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not written anywhere.
    BuiltIn,
    /// In the key `monitor` of ChatStack's files.
    Monitor,
    /// In the defaults.
    Defaults,
    /// In the tier.
    Tier,
    /// The built-in timeout of the short form.
    ShortForm,
    /// In the service.
    Service,
    /// In the check.
    Check,
}

impl Level {
    /// Where the setting was written, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Monitor => "from monitor",
            Self::Defaults => "from defaults",
            Self::Tier => "from the tier",
            Self::ShortForm => "of the short form",
            Self::Service => "from the service",
            Self::Check => "from the check",
        }
    }
}
