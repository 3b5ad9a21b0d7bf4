//! The enum of the settings of all kinds, and the option type of every kind.

use std::cell::RefCell;
use std::sync::Arc;

use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::kind_facts::{Identity, KindFacts, OwnTimings};
use super::place::{Invalid, Path, Place};
use super::secret::SecretSource;
use super::yaml::{Node, fields, read};
use super::{ip_protocol_alias, schema_parts, suggest, unsupported};
use crate::model::{CheckKind, with_kinds};

macro_rules! kind_settings {
    ($($(#[$doc:meta])* $variant:ident $name:ident $timed:ident $options:ident $settings:ident $check:ident;)+) => {
        /// The settings of one kind of check.
        #[derive(Clone, Debug, PartialEq)]
        pub enum KindSettings {
            $($(#[$doc])* $variant(Arc<super::$name::$settings>)),+
        }

        impl KindSettings {
            /// The kind.
            pub const fn kind(&self) -> CheckKind {
                match self {
                    $(Self::$variant(_) => CheckKind::$variant),+
                }
            }

            /// The target, for the `target` label and for people. Never contains a secret.
            pub fn target(&self) -> String {
                match self {
                    $(Self::$variant(settings) => settings.target()),+
                }
            }

            /// See [`KindFacts::SHARES_PHASE`].
            pub const fn shares_phase(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <super::$name::$settings as KindFacts>::SHARES_PHASE),+
                }
            }

            /// See [`KindFacts::IS_STORE`].
            pub const fn is_store(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <super::$name::$settings as KindFacts>::IS_STORE),+
                }
            }

            /// See [`KindFacts::MISSES_WHEN_LATE`].
            pub const fn misses_when_late(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <super::$name::$settings as KindFacts>::MISSES_WHEN_LATE),+
                }
            }

            /// See [`KindFacts::requests_tokens`].
            pub fn requests_tokens(&self) -> bool {
                match self {
                    $(Self::$variant(settings) => settings.requests_tokens()),+
                }
            }

            /// See [`KindFacts::values_at_once`].
            pub fn values_at_once(&self, label: &str) -> Option<u64> {
                match self {
                    $(Self::$variant(settings) => settings.values_at_once(label)),+
                }
            }

            /// See [`KindFacts::identify`].
            pub fn identify(&mut self, identity: &Identity<'_>) {
                match self {
                    $(Self::$variant(settings) => Arc::make_mut(settings).identify(identity)),+
                }
            }

            /// See [`KindFacts::job_token`].
            pub fn job_token(&self) -> Option<&SecretSource> {
                match self {
                    $(Self::$variant(settings) => settings.job_token()),+
                }
            }

            /// See [`KindFacts::secret_hint`].
            pub fn secret_hint(&self) -> Option<String> {
                match self {
                    $(Self::$variant(settings) => settings.secret_hint()),+
                }
            }

            /// See [`KindFacts::is_target_shortened`].
            pub fn is_target_shortened(&self) -> bool {
                match self {
                    $(Self::$variant(settings) => settings.is_target_shortened()),+
                }
            }
        }
    };
}
with_kinds!(kind_settings);

/// Parses the name of a kind, written at `place`.
///
/// # Errors
/// Reported at `place`.
pub fn parse(word: &str, place: &Place<'_>) -> Result<CheckKind, Invalid> {
    CheckKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| {
            let unknown = || suggest::unknown("kind", word, CheckKind::ALL.iter().map(|kind| kind.as_str()));
            place.error(unsupported::kind(word).unwrap_or_else(unknown))
        })
}

macro_rules! kind_options {
    ($($(#[$doc:meta])* $variant:ident $name:ident $timed:ident $options:ident $settings:ident $check:ident;)+) => {
        /// See [`KindFacts::OWN_TIMINGS`].
        pub const fn own_timings(kind: CheckKind) -> Option<OwnTimings> {
            match kind {
                $(CheckKind::$variant => <super::$name::$settings as KindFacts>::OWN_TIMINGS),+
            }
        }

        /// See [`KindFacts::SEES_CERTIFICATES`].
        pub const fn sees_certificates(kind: CheckKind) -> bool {
            match kind {
                $(CheckKind::$variant => <super::$name::$settings as KindFacts>::SEES_CERTIFICATES),+
            }
        }

        /// The keys of a kind, in addition to those of every check.
        pub fn keys(kind: CheckKind) -> &'static [&'static str] {
            match kind {
                $(CheckKind::$variant => fields::<super::$name::$options>()),+
            }
        }

        /// The JSON Schema of these keys.
        pub fn properties(kind: CheckKind, generator: &mut SchemaGenerator) -> Map<String, Value> {
            let mut properties = match kind {
                $(CheckKind::$variant => schema_parts::part::<super::$name::$options>(generator)),+
            };
            ip_protocol_alias::add_to_schema(&mut properties);
            properties
        }

        /// Resolves the keys of a kind, which are in `node` at `place`. `unknown` are other keys there, which were reported.
        /// Returns `None` after an error, which was reported.
        pub fn resolve(
            kind: CheckKind,
            node: &Node,
            place: &Place<'_>,
            unknown: Vec<Path>,
        ) -> Option<KindSettings> {
            let resolver = Resolver { node, place, unknown };
            match kind {
                $(CheckKind::$variant => resolver
                    .resolve(super::$name::$options::resolve)
                    .map(|settings| KindSettings::$variant(Arc::new(settings)))),+
            }
        }
    };
}
with_kinds!(kind_options);

struct Resolver<'a, 'b> {
    node: &'a Node,
    place: &'a Place<'b>,
    unknown: Vec<Path>,
}

impl Resolver<'_, '_> {
    fn resolve<O: DeserializeOwned, S>(
        self,
        resolve: impl FnOnce(O, &Place<'_>) -> Result<S, Invalid>,
    ) -> Option<S> {
        let replaced = ip_protocol_alias::replace(self.node, self.place);
        let reading = read::<O>(replaced.as_ref().unwrap_or(self.node), self.place);
        let invalid = [self.unknown, reading.invalid].concat();
        let found = RefCell::default();
        let result = resolve(reading.value?, &self.place.with_findings(&found));
        let found = found.into_inner();
        let is_reported = !invalid.is_empty() || found.iter().any(|finding| finding.is_error);
        for finding in found {
            // An invalid value was reported already. Do not report it as missing as well.
            let is_repeated = |path: &Path| finding.path.is_within(path) || path.is_within(&finding.path);
            if !invalid.iter().any(is_repeated) {
                self.place.push(finding);
            }
        }
        if result.is_err() && !is_reported {
            self.place.error("these options can't be used together");
        }
        result.ok().filter(|_| invalid.is_empty())
    }
}
