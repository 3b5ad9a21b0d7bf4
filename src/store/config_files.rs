//! The state of the configuration files at the last load.

use super::state::StoreState;
use crate::config::ConfigFile;
use crate::model::Moment;

impl StoreState {
    /// Records the state of the configuration files at the last load.
    pub fn record_config_files(&mut self, files: &[ConfigFile]) {
        self.last_reload_successful = files.iter().all(|file| file.is_valid);
        if *self.config_files != *files {
            self.config_files = files.into();
        }
    }

    /// Records that a configuration is applied, which is a success if all of its files are valid.
    pub fn record_reload(&mut self, now: Moment) {
        self.last_reload_successful = self.config_files.iter().all(|file| file.is_valid);
        if self.last_reload_successful {
            self.last_reload_success = now;
        }
        self.needs_saving = true;
    }
}
