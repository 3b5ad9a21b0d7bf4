//! The state of the configuration files at the last load.

use std::collections::HashMap;

use super::saved::{SavedChecks, SavedService};
use super::state::StoreState;
use crate::config::ConfigFile;
use crate::model::{Moment, ServiceKey};

impl StoreState {
    /// Records the state of the configuration files at the last load.
    pub fn record_config_files(&mut self, files: &[ConfigFile]) {
        self.last_reload_successful = files.iter().all(|file| file.is_valid);
        if *self.config_files != *files {
            self.config_files = files.into();
        }
    }

    /// Whether all configuration files were valid at the last load.
    pub fn are_files_valid(&self) -> bool {
        self.config_files.iter().all(|file| file.is_valid)
    }

    /// Records that a configuration is applied, which is a success if all of its files are valid. Otherwise the services in `restored`,
    /// which it does not have, may be in an invalid file. Then their saved state is kept until all files are valid.
    pub fn record_reload(&mut self, restored: HashMap<ServiceKey, (SavedService, SavedChecks)>, now: Moment) {
        self.last_reload_successful = self.are_files_valid();
        if self.last_reload_successful {
            self.last_reload_success = now;
        } else {
            let restored = restored.into_iter();
            self.restored.services = restored
                .map(|(key, (service, checks))| (key, service, checks))
                .collect();
        }
        self.save_all();
    }
}
