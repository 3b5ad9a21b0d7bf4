//! The kinds of check as the configuration sees them: from a kind's name to its written type and what that
//! resolves to.

use std::cell::RefCell;

use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::place::{Invalid, Path, Place};
use super::settings::KindSettings;
use super::yaml::{Node, fields, read};
use super::{schema, suggest, unsupported};
use crate::model::{CheckKind, with_kinds};

/// The kind that `word`, written at `place`, names.
///
/// # Errors
/// Reported at the word.
pub fn named(word: &str, place: &Place<'_>) -> Result<CheckKind, Invalid> {
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
        /// The keys that checks of a kind have beside those of every check.
        pub fn keys(kind: CheckKind) -> &'static [&'static str] {
            match kind {
                $(CheckKind::$variant => fields::<super::$name::$options>()),+
            }
        }

        /// The JSON Schema of these keys.
        pub fn properties(kind: CheckKind, generator: &mut SchemaGenerator) -> Map<String, Value> {
            match kind {
                $(CheckKind::$variant => schema::part::<super::$name::$options>(generator)),+
            }
        }

        /// Resolves the kind's own keys, which `node` at `place` has; `unknown` are keys beside them that were reported
        /// already. `None` where something is wrong; it was reported.
        pub fn resolve(
            kind: CheckKind,
            node: &Node,
            place: &Place<'_>,
            unknown: Vec<Path>,
        ) -> Option<KindSettings> {
            let piece = Piece { node, place, unknown };
            match kind {
                $(CheckKind::$variant => piece
                    .resolve(super::$name::$options::resolve)
                    .map(|settings| KindSettings::$variant(Box::new(settings)))),+
            }
        }
    };
}
with_kinds!(kind_options);

struct Piece<'a, 'b> {
    node: &'a Node,
    place: &'a Place<'b>,
    unknown: Vec<Path>,
}

impl Piece<'_, '_> {
    fn resolve<O: DeserializeOwned, S>(
        self,
        resolve: impl FnOnce(O, &Place<'_>) -> Result<S, Invalid>,
    ) -> Option<S> {
        let reading = read::<O>(self.node, self.place);
        let faulty = [self.unknown, reading.faulty].concat();
        let found = RefCell::default();
        let result = resolve(reading.value?, &self.place.collecting(&found));
        let found = found.into_inner();
        let is_told = !faulty.is_empty() || found.iter().any(|finding| finding.is_error);
        for finding in found {
            // What was written wrongly is not told again as missing.
            let is_echo = |path: &Path| finding.path.is_within(path) || path.is_within(&finding.path);
            if !faulty.iter().any(is_echo) {
                self.place.forward(finding);
            }
        }
        if result.is_err() && !is_told {
            self.place.error("these options can't be used together");
        }
        result.ok().filter(|_| faulty.is_empty())
    }
}
