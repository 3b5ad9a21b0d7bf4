//! The active web configuration. Reloads it when its files change. After an error the last valid configuration stays active.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::auth::Users;
use super::auth_error::RefusalCounts;
use super::config::{FileVersions, WebSettings, file_error, load_with_versions};
use super::throttle::TokenBucket;
use crate::config::ConfigError;
use crate::config::file_version::FileVersion;
use crate::metrics::WebView;

/// The time between two checks for changed files.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The active settings, and the state that depends on them.
#[derive(Debug)]
pub(super) struct ActiveConfig {
    pub settings: WebSettings,
    pub users: Arc<Users>,
    /// The bucket of `rate_limit`.
    pub requests: Mutex<TokenBucket>,
}

impl ActiveConfig {
    fn new(settings: WebSettings, previous: Option<&Self>) -> Arc<Self> {
        Arc::new(Self {
            users: Users::new(settings.users.clone(), previous.map(|previous| &*previous.users)),
            requests: Mutex::new(TokenBucket::full()),
            settings,
        })
    }
}

/// The active web configuration.
#[derive(Debug)]
pub struct WebConfig {
    active: RwLock<Arc<ActiveConfig>>,
    file: Option<File>,
    /// The number of refused requests by reason.
    pub(super) refused: RefusalCounts,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    watch: Mutex<Watch>,
}

/// The state of the watch on the files.
#[derive(Debug)]
struct Watch {
    /// The versions of the files at the last completed attempt.
    versions: FileVersions,
    /// The versions at a failed attempt that is not reported yet: the files may be in the middle of being replaced.
    suspect: Option<FileVersions>,
    last_reload_successful: bool,
}

impl WebConfig {
    /// Creates a configuration without a file: plain HTTP, no users.
    pub fn none() -> Arc<Self> {
        Arc::new(Self {
            active: RwLock::new(ActiveConfig::new(WebSettings::default(), None)),
            file: None,
            refused: RefusalCounts::default(),
        })
    }

    /// Loads a file. May block.
    ///
    /// # Errors
    /// When the file has errors: all of them.
    pub fn open(path: PathBuf) -> Result<Arc<Self>, ConfigError> {
        let (loaded, versions) = load_with_versions(&path);
        let watch = Mutex::new(Watch {
            versions,
            suspect: None,
            last_reload_successful: true,
        });
        Ok(Arc::new(Self {
            active: RwLock::new(ActiveConfig::new(loaded?, None)),
            file: Some(File { path, watch }),
            refused: RefusalCounts::default(),
        }))
    }

    /// Reports whether the server uses TLS.
    pub fn has_tls(&self) -> bool {
        self.active().settings.tls.is_some()
    }

    /// Reports whether requests need a user.
    pub fn has_users(&self) -> bool {
        !self.active().settings.users.is_empty()
    }

    /// Summarizes the configuration for people: "HTTPS, 2 users".
    pub fn summary(&self) -> String {
        let protocol = if self.has_tls() { "HTTPS" } else { "plain HTTP" };
        match self.active().settings.users.len() {
            0 => format!("{protocol}, no users"),
            1 => format!("{protocol}, 1 user"),
            count => format!("{protocol}, {count} users"),
        }
    }

    /// Returns what `/metrics` shows; `None` without a file.
    pub fn view(&self) -> Option<WebView> {
        let file = self.file.as_ref()?;
        let watch = file.watch.lock().unwrap_or_else(PoisonError::into_inner);
        Some(WebView {
            last_reload_successful: watch.last_reload_successful,
            refused: self.refused.by_reason(),
        })
    }

    /// Returns the active configuration.
    pub(super) fn active(&self) -> Arc<ActiveConfig> {
        Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reloads the files whenever they change. Never returns.
    pub async fn watch(self: Arc<Self>) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let config = Arc::clone(&self);
            // A file system that hangs must not block a worker.
            drop(tokio::task::spawn_blocking(move || config.reload_if_changed()).await);
        }
    }

    /// Reloads the files if they have changed.
    fn reload_if_changed(&self) {
        let Some(file) = &self.file else { return };
        let (known, suspect) = {
            let watch = file.watch.lock().unwrap_or_else(PoisonError::into_inner);
            (watch.versions.clone(), watch.suspect.clone())
        };
        if suspect.is_none()
            && known
                .iter()
                .all(|(path, version)| FileVersion::of(path) == *version)
        {
            return;
        }
        let (loaded, versions) = load_with_versions(&file.path);
        let result = loaded.and_then(|settings| self.activate(settings, file));
        let mut watch = file.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                info!(file = %file.path.display(), "reloaded the web configuration");
                *watch = Watch {
                    versions,
                    suspect: None,
                    last_reload_successful: true,
                };
            }
            Err(_) if suspect.as_ref() != Some(&versions) => watch.suspect = Some(versions),
            Err(findings) => {
                error!(error = %findings, "failed to reload the web configuration; the previous one stays in use");
                *watch = Watch {
                    versions,
                    suspect: None,
                    last_reload_successful: false,
                };
            }
        }
    }

    /// Activates new settings, unless they protect less than the active ones: a truncated file must not open the server.
    fn activate(&self, settings: WebSettings, file: &File) -> Result<(), ConfigError> {
        let previous = self.active();
        let weakened = previous.settings.clients.weakened_in(settings.clients);
        let refused = match (&previous.settings.tls, &settings.tls, weakened) {
            (Some(_), None, _) => {
                Some("tls_server_config was removed: restart the exporter to serve without TLS".to_owned())
            }
            (None, Some(_), _) => {
                Some("tls_server_config was added: restart the exporter to serve with TLS".to_owned())
            }
            (_, _, Some(key)) => Some(format!(
                "tls_server_config.{key} requires less of clients: restart the exporter to apply it"
            )),
            _ if settings.users.is_empty() && !previous.settings.users.is_empty() => {
                Some("basic_auth_users was removed: restart the exporter to serve without users".to_owned())
            }
            _ => None,
        };
        if let Some(message) = refused {
            return Err(file_error(&file.path.display().to_string(), message));
        }
        *self.active.write().unwrap_or_else(PoisonError::into_inner) =
            ActiveConfig::new(settings, Some(&previous));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "basic_auth_users: {a: $2y$04$CIdgVnrEqUrf2u3bSpTMZO3SIEmSb96sTzIVXr.Q5ZvjfLLxsiQjq}";

    struct Fixture {
        directory: tempfile::TempDir,
        config: Arc<WebConfig>,
    }

    impl Fixture {
        fn new(text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("web.yml");
            std::fs::write(&path, text).unwrap();
            let config = WebConfig::open(path).unwrap();
            Self { directory, config }
        }

        fn write(&self, text: &str) {
            std::fs::write(self.directory.path().join("web.yml"), text).unwrap();
        }

        /// The number of header fields in the active settings, and whether the last reload succeeded.
        fn state(&self) -> (usize, Option<bool>) {
            let active = self.config.active();
            (
                active.settings.http.headers.len(),
                self.config.view().map(|view| view.last_reload_successful),
            )
        }
    }

    #[test]
    fn a_change_is_loaded_and_an_invalid_file_is_not() {
        let fixture = Fixture::new("{}");
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (0, Some(true)));
        let headers = "http_server_config: {headers: {X-Frame-Options: deny}}";
        fixture.write(headers);
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (1, Some(true)));
        // The first attempt may have read a file that was still being written.
        fixture.write("http_server_config: {headers: {X-Frame-Options: den");
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (1, Some(true)));
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (1, Some(false)));
        fixture.write(&format!("{headers} # again"));
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (1, Some(true)));
        std::fs::remove_file(fixture.directory.path().join("web.yml")).unwrap();
        fixture.config.reload_if_changed();
        fixture.config.reload_if_changed();
        assert_eq!(fixture.state(), (1, Some(false)));
    }

    #[test]
    fn protection_is_not_reduced_while_running() {
        let fixture = Fixture::new(USERS);
        for text in [
            "",
            "{}",
            "basic_auth_users:",
            "http_server_config: {http2: false}",
        ] {
            fixture.write(text);
            fixture.config.reload_if_changed();
            fixture.config.reload_if_changed();
            assert!(fixture.config.has_users(), "{text}");
            assert_eq!(
                fixture.config.view().map(|view| view.last_reload_successful),
                Some(false),
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_file_the_view_is_empty() {
        let none = WebConfig::none();
        none.reload_if_changed();
        assert_eq!(none.view().map(|view| view.last_reload_successful), None);
        assert!(!none.has_tls() && !none.has_users());
    }
}
