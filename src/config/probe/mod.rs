//! What `/probe` may do: the modules by name, and the guard.

mod guard;
mod hide;
mod modules;
mod with_target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::settings::KindSettings;
use super::yaml::{Node, read};

pub use guard::{AddressClass, AllowOptions, GuardRules, TargetRefusal};
pub use modules::{ModuleOptions, probed_kinds, properties};
pub use with_target::{Endpoint, MAX_TARGET_BYTES, TargetedModule};

/// How many probes may be under way at once where the file does not say.
pub const DEFAULT_MAX_CONCURRENT: u32 = 256;
/// The most that may be configured: each probe holds sockets and a body.
const LARGEST_MAX_CONCURRENT: u32 = 10_000;

/// The key `probe`, as written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeOptions {
    /// How many probes may be under way at once; one more is refused with 429. Default: 256.
    pub max_concurrent: Option<u32>,
    /// What may be probed; each entry allows what fits all of its keys. Default: everything but special addresses (loopback,
    /// link-local, metadata services, multicast).
    pub allow: Option<Vec<AllowOptions>>,
}

/// What `/probe` may do, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSettings {
    /// The modules by name; without any there is no `/probe`.
    pub modules: BTreeMap<String, Arc<Module>>,
    /// What may be probed.
    pub guard: Arc<GuardRules>,
    /// How many probes may be under way at once.
    pub max_concurrent: u32,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            modules: BTreeMap::new(),
            guard: Arc::default(),
            max_concurrent: DEFAULT_MAX_CONCURRENT,
        }
    }
}

/// A named set of check options without a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The longest that a probe may take, where that is said.
    pub timeout: Option<Duration>,
    /// The options, aimed at a placeholder.
    pub prober: KindSettings,
    /// The module as it is written, with its secrets hidden: for people.
    pub shown: String,
}

/// Reads `modules` and `probe` of the document at `place`. What is wrong is reported.
pub fn resolve(modules: Option<&Node>, probe: Option<&Node>, place: &Place<'_>) -> ProbeSettings {
    let modules = modules
        .filter(|modules| !modules.is_null())
        .map(|modules| modules::resolve(modules, &place.field("modules")))
        .unwrap_or_default();
    let options = probe
        .filter(|probe| !probe.is_null())
        .and_then(|probe| read::<ProbeOptions>(probe, &place.field("probe")).value)
        .unwrap_or_default();
    options
        .resolve(&place.field("probe"), modules)
        .unwrap_or_default()
}

impl ProbeOptions {
    fn resolve(
        self,
        place: &Place<'_>,
        modules: BTreeMap<String, Arc<Module>>,
    ) -> Result<ProbeSettings, Invalid> {
        let max_concurrent = match self.max_concurrent.unwrap_or(DEFAULT_MAX_CONCURRENT) {
            most @ 1..=LARGEST_MAX_CONCURRENT => Ok(most),
            other => Err(place.field("max_concurrent").error(format_args!(
                "{other} is out of range: write a number from 1 to {LARGEST_MAX_CONCURRENT}"
            ))),
        };
        let guard = GuardRules::resolve(self.allow, &place.field("allow"));
        Ok(ProbeSettings {
            modules,
            guard: Arc::new(guard?),
            max_concurrent: max_concurrent?,
        })
    }
}

/// A duration of a module: as elsewhere.
type Timeout = Option<DurationText>;
