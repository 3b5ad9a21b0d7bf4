//! The results of providers, in memory and in the state directory, so that a restart or a reload asks no provider again.
//!
//! The file has no key. An entry is found by a keyed hash of the key and the connection; the key of the hash is random and in the file.

mod entry;
mod facts;
mod key_state;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

pub use self::entry::{Entry, ListChange, MAX_WAIT};
pub use self::facts::{ListedModel, Remaining};
pub use self::key_state::KeyState;
use crate::model::{Problem, Reason};
use crate::state_dir::{SaveError, SavedFile, StateDir};

/// The file. Its maximum size is that of 64 lists of `OpenRouter`'s size.
const FILE: SavedFile = SavedFile {
    name: "provider-results.json",
    max_bytes: 16 << 20,
    content: "the saved results of providers",
    if_lost: "providers are asked again",
};
/// The version of its format.
const VERSION: u32 = 1;
/// The maximum number of entries. A configuration has a handful of providers; rotated keys leave entries behind.
const MAX_ENTRIES: usize = 64;
/// Entries that no run has updated for this time are removed, in seconds: longer than the longest interval (a week).
const MAX_AGE_SECONDS: i64 = 8 * 24 * 3600;
/// The length of the random key of the hash, in bytes: that of SHA-256.
const SALT_BYTES: usize = 32;

/// The results of providers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ResultCache(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The directory of the file; `None` keeps the results in memory.
    dir: Option<Arc<StateDir>>,
    loaded: OnceCell<()>,
    content: Mutex<Content>,
    /// Whether a write is planned that will include all changes so far.
    is_save_planned: AtomicBool,
    /// Held while the file is written.
    writing: Mutex<()>,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    /// The key of the hash, in hexadecimal.
    salt: String,
    entries: BTreeMap<String, Entry>,
}

impl ResultCache {
    /// A cache that saves its results in this directory.
    pub fn new(dir: Option<Arc<StateDir>>) -> Self {
        Self(Arc::new(Shared {
            dir,
            ..Shared::default()
        }))
    }

    /// Reads the file, unless that was done before. A broken file is moved aside, with a warning.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub async fn load(&self) -> Result<(), Problem> {
        let shared = &self.0;
        let load = || async {
            let read = match shared.dir.clone() {
                Some(dir) => tokio::task::spawn_blocking(move || read(&dir))
                    .await
                    .ok()
                    .flatten(),
                None => None,
            };
            let content = match read {
                Some(content) => content,
                None => Content::new()?,
            };
            *shared.content() = content;
            Ok(())
        };
        shared.loaded.get_or_try_init(load).await.map(|_| ())
    }

    /// The id of the entry of a key at a connection, which `connection` describes without secrets.
    pub fn id(&self, connection: &str, key: Option<&str>) -> String {
        let salt = self.0.content().salt.clone();
        let hash_key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
        let mut context = hmac::Context::with_key(&hash_key);
        context.update(connection.as_bytes());
        // No text contains this byte, so that a key and no key differ, and neither part runs into the other.
        context.update(&[0xff]);
        if let Some(key) = key {
            context.update(&[0xff]);
            context.update(key.as_bytes());
        }
        hex(context.sign().as_ref())
    }

    /// The entry with this id.
    pub fn get(&self, id: &str) -> Option<Entry> {
        self.0.content().entries.get(id).cloned()
    }

    /// Replaces the entry with this id, and saves all entries in the background.
    pub fn put(&self, id: String, entry: Entry) {
        let mut content = self.0.content();
        content.entries.insert(id, entry);
        content.prune(Timestamp::now().as_second());
        drop(content);
        if self.0.dir.is_none() || self.0.is_save_planned.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(&self.0);
        // A disk that hangs must not delay runs.
        tokio::task::spawn_blocking(move || shared.save());
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) {
        let Some(dir) = &self.dir else { return };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_save_planned.store(false, Ordering::Release);
        let encoded = serde_json::to_vec(&*self.content());
        let saved = encoded
            .map_err(SaveError::from)
            .and_then(|text| dir.replace(FILE.name, &text));
        if let Err(error) = saved {
            tracing::warn!(%error, "saving the results of providers failed; after a restart, providers are asked again");
        }
    }
}

impl Content {
    fn new() -> Result<Self, Problem> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| {
            let message = format_args!("getting random bytes for the results of providers: {error}");
            Problem::new(Reason::Internal, message)
        })?;
        Ok(Self {
            version: VERSION,
            salt: hex(&salt),
            entries: BTreeMap::new(),
        })
    }

    /// Removes old entries, and the oldest ones of too many.
    fn prune(&mut self, now: i64) {
        let last = |entry: &Entry| entry.answered.max(entry.wait_until);
        self.entries
            .retain(|_, entry| last(entry) > now - MAX_AGE_SECONDS);
        while self.entries.len() > MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| last(entry));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            self.entries.remove(&id);
        }
    }
}

/// Reads the file. `None` if there is none, or it can't be used, which is logged.
fn read(dir: &StateDir) -> Option<Content> {
    let (content, warning) = dir.load(&FILE, |text| decode(text).map(Some));
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    content
}

fn decode(text: &[u8]) -> Result<Content, String> {
    let content: Content = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match content {
        Content {
            version: VERSION,
            ref salt,
            ..
        } if salt.len() == 2 * SALT_BYTES => Ok(content),
        Content { version: VERSION, .. } => Err("it has no salt".to_owned()),
        Content { version, .. } => Err(format!("version {version} is not supported")),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    const KEY: &str = "sk-proj-0123456789abcdef";

    fn entry(answered: i64) -> Entry {
        Entry {
            answered,
            state: Some(KeyState::Valid),
            proof: Some((true, answered)),
            ..Entry::default()
        }
    }

    /// Waits until the background has written this text to the file.
    async fn saved(dir: &Path, wanted: &str) -> String {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(dir.join(FILE.name)).unwrap_or_default();
            if text.contains(wanted) {
                return text;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{text}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn results_survive_a_restart_without_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::now().as_second();
        let state = StateDir::new(dir.path().to_owned());
        let cache = ResultCache::new(Some(Arc::clone(&state)));
        cache.load().await.unwrap();
        let id = cache.id("openai", Some(KEY));
        cache.put(id.clone(), entry(now));
        let text = saved(dir.path(), &id).await;
        assert!(
            !text.contains("sk-proj") && !text.contains("0123456789abcdef"),
            "{text}"
        );
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(dir.path().join(FILE.name)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let restarted = ResultCache::new(Some(state));
        restarted.load().await.unwrap();
        assert_eq!(restarted.id("openai", Some(KEY)), id);
        assert_eq!(restarted.get(&id), Some(entry(now)));
        for other in [
            restarted.id("openai", Some("another key")),
            restarted.id("openai", None),
            restarted.id("openai", Some("")),
            restarted.id("anthropic", Some(KEY)),
            restarted.id(&format!("openai{KEY}"), None),
        ] {
            assert_eq!(restarted.get(&other), None);
        }
        // Without the random key of the file, the hash of a key is a different one.
        let elsewhere = ResultCache::default();
        elsewhere.load().await.unwrap();
        assert_ne!(elsewhere.id("openai", Some(KEY)), id);
    }

    #[tokio::test]
    async fn a_broken_file_is_moved_aside_and_asked_for_again() {
        for text in [
            "",
            "{",
            "[]",
            "{\"version\":2,\"salt\":\"\",\"entries\":{}}",
            "{\"version\":1,\"salt\":\"\",\"entries\":{}}",
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE.name), text).unwrap();
            let cache = ResultCache::new(Some(StateDir::new(dir.path().to_owned())));
            cache.load().await.unwrap();
            let id = cache.id("openai", Some(KEY));
            assert_eq!(cache.get(&id), None);
            let aside = std::fs::read_to_string(dir.path().join(format!("{}.broken-1", FILE.name))).unwrap();
            assert_eq!(aside, text);
            cache.put(id.clone(), entry(Timestamp::now().as_second()));
            saved(dir.path(), &id).await;
        }
    }

    #[test]
    fn old_entries_and_too_many_are_removed() {
        let mut content = Content::new().unwrap();
        let now = 100 * MAX_AGE_SECONDS;
        content.entries.insert("old".into(), entry(now - MAX_AGE_SECONDS));
        for number in 0..MAX_ENTRIES + 3 {
            let age = i64::try_from(number).unwrap();
            content.entries.insert(format!("{number:03}"), entry(now - age));
        }
        content.prune(now);
        assert_eq!(content.entries.len(), MAX_ENTRIES);
        assert!(content.entries.contains_key("000") && !content.entries.contains_key("064"));
    }
}
