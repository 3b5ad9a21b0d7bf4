//! Limits the log lines of libraries, because peers can cause them: at most one line per minute for each place in the code. The number
//! of suppressed lines is logged.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// The minimum time between two lines of a place.
const GAP: Duration = Duration::from_secs(60);
/// The maximum number of remembered places. All libraries together have fewer. Lines of further places are suppressed.
const MAX_PLACES: usize = 1024;
/// The target of our own lines. They have their own limit, see `log_throttle`.
const OUR_TARGET: &str = "upkeep_exporter";

/// The number of suppressed lines that were not reported yet.
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Logs once per minute how many lines were suppressed, if any. Never returns.
pub async fn report_suppressed() {
    loop {
        tokio::time::sleep(GAP).await;
        let lines = SUPPRESSED.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "suppressed repeated log lines of libraries");
        }
    }
}

/// A filter that allows one event per minute for each place in the code of a library.
#[derive(Debug, Default)]
pub struct LibraryLimit {
    last: Mutex<HashMap<Place, Instant>>,
}

/// A place in the code: the name in an event's metadata, which includes file and line, and a hash. All events of the crate `log` have
/// the same name; the hash distinguishes them.
type Place = (&'static str, u64);

impl LibraryLimit {
    /// Whether to write a line of `place` at `now`.
    fn allows(&self, place: Place, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |last: &Instant| now.saturating_duration_since(*last) < GAP;
        if last.get(&place).is_some_and(is_recent) {
            return false;
        }
        if last.len() >= MAX_PLACES {
            last.retain(|_, last| is_recent(last));
        }
        if last.len() >= MAX_PLACES {
            return false;
        }
        last.insert(place, now);
        true
    }
}

impl<S> Filter<S> for LibraryLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if is_ours(metadata.target()) {
            return true;
        }
        let mut origin = Origin::default();
        if metadata.target() == "log" {
            event.record(&mut origin);
        }
        let is_allowed = self.allows((metadata.name(), origin.0.finish()), Instant::now());
        if !is_allowed {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }
}

fn is_ours(target: &str) -> bool {
    let rest = target.strip_prefix(OUR_TARGET);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A hash of the origin of an event of the crate `log`. `tracing-log` puts the origin into fields.
#[derive(Default)]
struct Origin(DefaultHasher);

impl Visit for Origin {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(field.name(), "log.target" | "log.file") {
            value.hash(&mut self.0);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            value.hash(&mut self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Records the events that pass.
    #[derive(Clone, Default)]
    struct Passed(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Passed {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }
    }

    #[test]
    fn one_line_is_written_for_each_place_in_a_library() {
        let passed = Passed::default();
        let filter = LibraryLimit::default();
        let subscriber = tracing_subscriber::registry().with(passed.clone().with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..100 {
                tracing::warn!(target: "h2::proto", number, "a peer did something");
                tracing::error!(target: "h2::proto", number, "a peer did something else");
                tracing::info!(target: "upkeep_exporter::store", number, "ours");
            }
        });
        let passed = passed.0.lock().unwrap();
        let count = |target: &str| passed.iter().filter(|passed| *passed == target).count();
        assert_eq!((count("h2::proto"), count("upkeep_exporter::store")), (2, 100));
        assert!(SUPPRESSED.load(Ordering::Relaxed) >= 198);
    }

    #[test]
    fn a_place_may_log_again_after_a_minute_and_the_table_is_bounded() {
        let (limit, begun) = (LibraryLimit::default(), Instant::now());
        assert!(limit.allows(("a", 0), begun));
        assert!(!limit.allows(("a", 0), begun + GAP / 2));
        assert!(limit.allows(("a", 1), begun) && limit.allows(("b", 0), begun));
        assert!(limit.allows(("a", 0), begun + GAP));
        let passed = (0..10_000).filter(|number| limit.allows(("c", *number), begun + GAP));
        assert_eq!(passed.count(), MAX_PLACES - 1);
        assert!(limit.last.lock().unwrap().len() <= MAX_PLACES);
        assert!(limit.allows(("d", 0), begun + 3 * GAP));
        assert_eq!(limit.last.lock().unwrap().len(), 1);
    }

    #[test]
    fn only_our_own_crate_is_ours() {
        assert!(is_ours("upkeep_exporter") && is_ours("upkeep_exporter::web::front"));
        assert!(!is_ours("upkeep_exporter_plugin") && !is_ours("rustls::conn") && !is_ours("log"));
    }
}
