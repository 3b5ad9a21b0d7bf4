//! The configuration without a file: the embedded default, and the services that discovery finds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::discover::options;
use crate::config::{self, Config, ConfigError};
use crate::discover::Continuous;

/// Discovery that is repeated every `interval`, for an exporter without a configuration file.
pub fn discovery(procfs: PathBuf, interval: Duration) -> Arc<Continuous> {
    Arc::new(Continuous::new(options(procfs, Vec::new()), interval))
}

/// Loads the embedded default for an exporter that listens on `port`, with the services that `discovery` finds. Looks at the machine,
/// so it blocks. To be called on a thread of a runtime that may block.
///
/// # Errors
/// Never in a release: tests load it.
pub fn load(port: Option<u16>, discovery: Option<&Continuous>) -> Result<Config, ConfigError> {
    let found = discovery.map(|discovery| Handle::current().block_on(discovery.list()));
    config::embedded_default_with(port, found.as_deref().unwrap_or_default()).map(|loaded| loaded.config)
}
