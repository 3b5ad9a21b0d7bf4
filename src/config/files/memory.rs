//! The last valid content of files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::maintenance::MaintenanceWindow;
use crate::config::probe::Modules;
use crate::config::settings::{Config, Disabled, Service};
use crate::model::ServiceKey;

/// The last valid content of one file. It is resolved, so nothing outside of the file can make it invalid.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The services.
    pub services: Vec<Arc<Service>>,
    /// The services and checks that are turned off.
    pub disabled: Vec<Disabled>,
    /// The keys of services that are made of names.
    pub derived_keys: Vec<ServiceKey>,
    /// The modules.
    pub modules: Modules,
    /// The maintenance windows.
    pub windows: Vec<Arc<MaintenanceWindow>>,
    /// The text, if the file has global keys.
    pub globals: Option<Arc<[u8]>>,
    /// The YAML without secrets, for `/config`.
    pub shown: Arc<str>,
}

impl Content {
    /// The keys of the services, also of those that are turned off.
    pub fn service_keys(&self) -> impl Iterator<Item = &ServiceKey> {
        let disabled = self.disabled.iter().filter(|disabled| disabled.check.is_none());
        let keys = self.services.iter().map(|service| &service.key);
        keys.chain(disabled.map(|disabled| &disabled.service))
    }
}

/// What is in use.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last valid content of each file.
    pub files: HashMap<PathBuf, Arc<Content>>,
    /// The whole configuration; `None` before the first successful load.
    pub config: Option<Config>,
}
