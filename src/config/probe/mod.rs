//! The configuration of `/probe`: the modules by name, and the guard.

mod guard;
mod modules;
mod with_target;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::place::{Invalid, Place};
use super::yaml::{Node, read};

pub use guard::{AddressClass, AllowOptions, GuardRules, TargetRefusal};
pub use modules::{Module, ModuleOptions, Modules, probed_kinds, properties};
pub use with_target::{Endpoint, MAX_TARGET_BYTES, RequestError, TargetedModule};

/// The default limit of concurrent probes.
pub const DEFAULT_MAX_CONCURRENT: u32 = 256;
/// The highest limit, since each probe needs sockets and memory for a body.
const LARGEST_MAX_CONCURRENT: u32 = 10_000;

/// The options of the key `probe`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeOptions {
    /// Maximum number of concurrent probes. Requests beyond it get status 429. Default: 256.
    #[schemars(range(min = 1, max = 10000))]
    pub max_concurrent: Option<u32>,
    /// Allowed targets. Each entry allows targets that match all of its keys. Default: all targets except special addresses
    /// (loopback, link-local, metadata services, multicast).
    pub allow: Option<Vec<AllowOptions>>,
}

/// The settings of `/probe`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSettings {
    /// The modules. Without modules, `/probe` does not exist.
    pub modules: Modules,
    /// The allowed targets.
    pub guard: Arc<GuardRules>,
    /// The maximum number of concurrent probes.
    pub max_concurrent: u32,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            modules: Modules::default(),
            guard: Arc::default(),
            max_concurrent: DEFAULT_MAX_CONCURRENT,
        }
    }
}

/// Resolves `modules` and `probe` of the document at `place`. Reports errors.
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
    fn resolve(self, place: &Place<'_>, modules: Modules) -> Result<ProbeSettings, Invalid> {
        let max_concurrent = match self.max_concurrent.unwrap_or(DEFAULT_MAX_CONCURRENT) {
            max @ 1..=LARGEST_MAX_CONCURRENT => Ok(max),
            other => Err(place.field("max_concurrent").error(format_args!(
                "{other} is out of range: write 1 to {LARGEST_MAX_CONCURRENT}"
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
