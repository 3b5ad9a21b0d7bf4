//! A limit to the lines of libraries: what a peer sends must not fill the log. Of each place in a library's code one line is
//! written a minute; how many were left out is counted.

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

/// How long after a line of a place another one is left out.
const GAP: Duration = Duration::from_secs(60);
/// How many places are remembered. All libraries together have fewer; beyond, lines are left out.
const MAX_PLACES: usize = 1024;
/// Where our own lines come from; those that others can cause have a limit of their own.
const OURS: &str = "upkeep_exporter";

/// How many lines were left out and not reported yet.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Reports once a minute how many lines were left out, if there are any. Never returns.
pub async fn report_left_out() {
    loop {
        tokio::time::sleep(GAP).await;
        let lines = LEFT_OUT.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "left out repeated log lines of libraries");
        }
    }
}

/// A filter that lets one event a minute through of each place in a library's code.
#[derive(Debug, Default)]
pub struct LibraryLimit {
    last: Mutex<HashMap<Place, Instant>>,
}

/// The name of an event's metadata, which has its file and line. Those of the crate `log` share one; the hash tells them apart.
type Place = (&'static str, u64);

impl LibraryLimit {
    /// Whether a line of `place` is written at `now`.
    fn allows(&self, place: Place, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = |last: &Instant| now.saturating_duration_since(*last) < GAP;
        if last.get(&place).is_some_and(is_young) {
            return false;
        }
        if last.len() >= MAX_PLACES {
            last.retain(|_, last| is_young(last));
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
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }
}

fn is_ours(target: &str) -> bool {
    let rest = target.strip_prefix(OURS);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Where an event of the crate `log` comes from: `tracing-log` puts that into fields.
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

    /// Counts what passes.
    #[derive(Clone, Default)]
    struct Passed(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Passed {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }
    }

    #[test]
    fn of_each_place_in_a_library_one_line_is_written() {
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
        assert!(LEFT_OUT.load(Ordering::Relaxed) >= 198);
    }

    #[test]
    fn a_place_has_another_line_a_minute_later_and_the_table_does_not_grow() {
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
