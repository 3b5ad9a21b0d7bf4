//! The kinds of check as the configuration sees them: the one match from a kind to its written type.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::http::HttpOptions;
use super::place::{Invalid, Path, Place};
use super::process::ProcessOptions;
use super::settings::KindSettings;
use super::systemd::SystemdOptions;
use super::tcp::TcpOptions;
use super::yaml::{Node, fields, read};
use super::{later, suggest};
use crate::model::CheckKind;

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
            place.error(later::kind(word).unwrap_or_else(unknown))
        })
}

/// The keys that checks of a kind have beside those of every check.
pub fn keys(kind: CheckKind) -> &'static [&'static str] {
    match kind {
        CheckKind::Http => fields::<HttpOptions>(),
        CheckKind::Tcp => fields::<TcpOptions>(),
        CheckKind::Systemd => fields::<SystemdOptions>(),
        CheckKind::Process => fields::<ProcessOptions>(),
    }
}

/// Resolves the kind's own keys, which `node` at `place` has; `unknown` are keys beside them that were reported already.
/// `None` where something is wrong; it was reported.
pub fn resolve(kind: CheckKind, node: &Node, place: &Place<'_>, unknown: Vec<Path>) -> Option<KindSettings> {
    let piece = Piece { node, place, unknown };
    match kind {
        CheckKind::Http => piece.resolve(|options: HttpOptions, place| {
            options
                .resolve(place)
                .map(|settings| KindSettings::Http(Box::new(settings)))
        }),
        CheckKind::Tcp => piece.resolve(|options: TcpOptions, place| {
            options
                .resolve(place)
                .map(|settings| KindSettings::Tcp(Box::new(settings)))
        }),
        CheckKind::Systemd => {
            piece.resolve(|options: SystemdOptions, place| options.resolve(place).map(KindSettings::Systemd))
        }
        CheckKind::Process => {
            piece.resolve(|options: ProcessOptions, place| options.resolve(place).map(KindSettings::Process))
        }
    }
}

struct Piece<'a, 'b> {
    node: &'a Node,
    place: &'a Place<'b>,
    unknown: Vec<Path>,
}

impl Piece<'_, '_> {
    fn resolve<O: DeserializeOwned>(
        self,
        resolve: impl FnOnce(O, &Place<'_>) -> Result<KindSettings, Invalid>,
    ) -> Option<KindSettings> {
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
