//! The web configuration in use. Changed files count within a second or two; a broken one leaves the last good one in use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::auth::Users;
use super::auth_error::Refused;
use super::config::{Stamps, WebSettings, load_stamped, whole};
use super::throttle::Bucket;
use crate::config::ConfigError;
use crate::config::stamp::Stamp;
use crate::metrics::WebView;

/// How often the files are looked at.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// Settings in use, with what is kept as long as they are.
#[derive(Debug)]
pub(super) struct InUse {
    pub settings: WebSettings,
    pub users: Arc<Users>,
    /// What is left of the rate of requests.
    pub requests: Mutex<Bucket>,
}

impl InUse {
    fn new(settings: WebSettings, before: Option<&Self>) -> Arc<Self> {
        Arc::new(Self {
            users: Users::new(settings.users.clone(), before.map(|before| &*before.users)),
            requests: Mutex::new(Bucket::full()),
            settings,
        })
    }
}

/// The web configuration in use.
#[derive(Debug)]
pub struct WebConfig {
    in_use: RwLock<Arc<InUse>>,
    file: Option<File>,
    /// Requests that were refused, by reason.
    pub(super) refused: Refused,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// What was seen of the files.
#[derive(Debug)]
struct Seen {
    /// The files as they were when they were last read to an end.
    stamps: Stamps,
    /// The files of an attempt that failed and is not told yet: somebody may be halfway through replacing them.
    doubtful: Option<Stamps>,
    is_good: bool,
}

impl WebConfig {
    /// No file: plain HTTP for everybody.
    pub fn none() -> Arc<Self> {
        Arc::new(Self {
            in_use: RwLock::new(InUse::new(WebSettings::default(), None)),
            file: None,
            refused: Refused::default(),
        })
    }

    /// Loads a file. This may block.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: PathBuf) -> Result<Arc<Self>, ConfigError> {
        let (loaded, stamps) = load_stamped(&path);
        let seen = Mutex::new(Seen {
            stamps,
            doubtful: None,
            is_good: true,
        });
        Ok(Arc::new(Self {
            in_use: RwLock::new(InUse::new(loaded?, None)),
            file: Some(File { path, seen }),
            refused: Refused::default(),
        }))
    }

    /// Whether the server speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.in_use().settings.tls.is_some()
    }

    /// Whether only users are answered.
    pub fn has_users(&self) -> bool {
        !self.in_use().settings.users.is_empty()
    }

    /// What it makes, for people: "HTTPS, 2 users".
    pub fn summary(&self) -> String {
        let protocol = if self.has_tls() { "HTTPS" } else { "plain HTTP" };
        match self.in_use().settings.users.len() {
            0 => format!("{protocol}, for everybody"),
            1 => format!("{protocol}, 1 user"),
            count => format!("{protocol}, {count} users"),
        }
    }

    /// How it fares; `None` without a file.
    pub fn view(&self) -> Option<WebView> {
        let file = self.file.as_ref()?;
        let seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some(WebView {
            last_reload_successful: seen.is_good,
            refused: self.refused.all(),
        })
    }

    /// The settings of the moment.
    pub(super) fn in_use(&self) -> Arc<InUse> {
        Arc::clone(&self.in_use.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what changes in the files. Never returns.
    pub async fn follow(self: Arc<Self>) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        let mut ticks = interval(LOOK_EACH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let own = Arc::clone(&self);
            // A file system that hangs must not hold up a worker.
            let look = tokio::task::spawn_blocking(move || own.look());
            drop(look.await);
        }
    }

    /// Looks whether files changed, and loads them again where they did.
    fn look(&self) {
        let Some(file) = &self.file else { return };
        let (known, doubtful) = {
            let seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.stamps.clone(), seen.doubtful.clone())
        };
        if doubtful.is_none() && known.iter().all(|(path, stamp)| Stamp::of(path) == *stamp) {
            return;
        }
        let (loaded, stamps) = load_stamped(&file.path);
        let result = loaded.and_then(|settings| self.take_over(settings, file));
        let mut seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                info!(file = %file.path.display(), "web configuration loaded");
                *seen = Seen {
                    stamps,
                    doubtful: None,
                    is_good: true,
                };
            }
            Err(_) if doubtful.as_ref() != Some(&stamps) => seen.doubtful = Some(stamps),
            Err(findings) => {
                error!(error = %findings, "web configuration not loaded; the one before stays in force");
                *seen = Seen {
                    stamps,
                    doubtful: None,
                    is_good: false,
                };
            }
        }
    }

    /// Protection is never given up while running: a file that is cut off must not open the server to everybody.
    fn take_over(&self, settings: WebSettings, file: &File) -> Result<(), ConfigError> {
        let before = self.in_use();
        let given_up = before.settings.clients.given_up_in(settings.clients);
        let refused = match (&before.settings.tls, &settings.tls, given_up) {
            (Some(_), None, _) => {
                Some("tls_server_config is gone: restart the exporter to serve without TLS".to_owned())
            }
            (None, Some(_), _) => {
                Some("tls_server_config is new: restart the exporter to serve with TLS".to_owned())
            }
            (_, _, Some(key)) => Some(format!(
                "tls_server_config.{key} demands less of clients: restart the exporter to let them in"
            )),
            _ if settings.users.is_empty() && !before.settings.users.is_empty() => {
                Some("basic_auth_users is gone: restart the exporter to serve everybody".to_owned())
            }
            _ => None,
        };
        if let Some(message) = refused {
            return Err(whole(&file.path.display().to_string(), message));
        }
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = InUse::new(settings, Some(&before));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "basic_auth_users: {a: $2y$04$CIdgVnrEqUrf2u3bSpTMZO3SIEmSb96sTzIVXr.Q5ZvjfLLxsiQjq}";

    struct Written {
        directory: tempfile::TempDir,
        config: Arc<WebConfig>,
    }

    impl Written {
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

        /// What the header of the settings in use is, and whether the last attempt was good.
        fn state(&self) -> (usize, Option<bool>) {
            let in_use = self.config.in_use();
            (
                in_use.settings.http.headers.len(),
                self.config.view().map(|view| view.last_reload_successful),
            )
        }
    }

    #[test]
    fn a_change_counts_and_a_broken_file_does_not() {
        let written = Written::new("{}");
        written.config.look();
        assert_eq!(written.state(), (0, Some(true)));
        let headers = "http_server_config: {headers: {X-Frame-Options: deny}}";
        written.write(headers);
        written.config.look();
        assert_eq!(written.state(), (1, Some(true)));
        // The first look may have met a file that is being written.
        written.write("http_server_config: {headers: {X-Frame-Options: den");
        written.config.look();
        assert_eq!(written.state(), (1, Some(true)));
        written.config.look();
        assert_eq!(written.state(), (1, Some(false)));
        written.write(&format!("{headers} # again"));
        written.config.look();
        assert_eq!(written.state(), (1, Some(true)));
        std::fs::remove_file(written.directory.path().join("web.yml")).unwrap();
        written.config.look();
        written.config.look();
        assert_eq!(written.state(), (1, Some(false)));
    }

    #[test]
    fn protection_is_not_given_up_while_running() {
        let written = Written::new(USERS);
        for text in [
            "",
            "{}",
            "basic_auth_users:",
            "http_server_config: {http2: false}",
        ] {
            written.write(text);
            written.config.look();
            written.config.look();
            assert!(written.config.has_users(), "{text}");
            assert_eq!(
                written.config.view().map(|view| view.last_reload_successful),
                Some(false),
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_file_there_is_nothing_to_tell() {
        let none = WebConfig::none();
        none.look();
        assert_eq!(none.view().map(|view| view.last_reload_successful), None);
        assert!(!none.has_tls() && !none.has_users());
    }
}
