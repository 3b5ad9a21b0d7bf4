//! Bodies made of a snapshot, for many requests: one at a time, off the runtime's workers, and one for all that wait for the
//! same.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::metrics::{Encoding, Ledger, RenderedBody, gzip};

/// Which body: what was asked for, and how it is compressed.
type Key = (String, Encoding);

/// A body that may still be of use.
#[derive(Debug)]
struct Made {
    key: Key,
    /// When its making began; what it says is no older.
    began: Instant,
    document: Weak<RenderedBody>,
}

/// Makes bodies, and bounds the memory they take together.
#[derive(Debug, Default)]
pub struct Bodies {
    made: Arc<Mutex<Vec<Made>>>,
    ledger: Arc<Ledger>,
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum NoBody<E> {
    /// What was asked for can't be answered.
    Refused(E),
    /// The making panicked, or the runtime ends.
    Failed,
}

impl Bodies {
    /// The body that `make` returns for `what`, or one that another request made after this call. Once begun it is made to its
    /// end, also when nobody waits any more: clients that come and go can't have it made many times at once.
    pub(super) async fn get<E: Send + 'static>(
        &self,
        what: String,
        encoding: Encoding,
        make: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Arc<RenderedBody>, NoBody<E>> {
        let asked = Instant::now();
        let key = (what, encoding);
        let mut made = Arc::clone(&self.made).lock_owned().await;
        made.retain(|made| made.document.strong_count() > 0);
        let fresh = made.iter().find(|made| made.key == key && made.began >= asked);
        if let Some(document) = fresh.and_then(|made| made.document.upgrade()) {
            return Ok(document);
        }
        let ledger = Arc::clone(&self.ledger);
        let making = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let body = make()?;
            let document = ledger.add(match encoding {
                Encoding::Identity => body,
                Encoding::Gzip => gzip(&body),
            });
            made.push(Made {
                key,
                began,
                document: Arc::downgrade(&document),
            });
            Ok(document)
        });
        match making.await {
            Ok(result) => result.map_err(NoBody::Refused),
            // The panic itself is logged by the hook.
            Err(_) => Err(NoBody::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_the_same_share_it() {
        let bodies = Arc::new(Bodies::default());
        let made = Arc::new(AtomicUsize::new(0));
        let requests = (0..50).map(|number| {
            let (bodies, made) = (Arc::clone(&bodies), Arc::clone(&made));
            tokio::spawn(async move {
                let what = if number % 2 == 0 { "even" } else { "odd" };
                let make = move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    Ok::<_, ()>(what.into())
                };
                let document = bodies
                    .get(what.to_owned(), Encoding::Identity, make)
                    .await
                    .unwrap();
                let body = document.chunk(0, 10).unwrap();
                // Held until all have theirs.
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                assert_eq!(body, what);
                document
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        // The very first one began before the others asked.
        assert!((2..=4).contains(&made.load(Ordering::Relaxed)), "{made:?}");
    }

    #[tokio::test]
    async fn what_was_made_before_is_not_served() {
        let bodies = Bodies::default();
        let get = |text: &'static str| {
            bodies.get("x".to_owned(), Encoding::Identity, move || {
                Ok::<_, ()>(text.into())
            })
        };
        let first = get("first").await.unwrap();
        let second = get("second").await.unwrap();
        assert_eq!(
            (first.chunk(0, 9).unwrap(), second.chunk(0, 9).unwrap()),
            ("first".into(), "second".into())
        );
    }

    #[tokio::test]
    async fn a_panic_harms_no_later_request() {
        let bodies = Bodies::default();
        let failed = bodies.get("x".to_owned(), Encoding::Identity, || -> Result<_, ()> {
            panic!("on purpose")
        });
        assert!(matches!(failed.await, Err(NoBody::Failed)));
        let refused = bodies.get("x".to_owned(), Encoding::Identity, || Err(7));
        assert!(matches!(refused.await, Err(NoBody::Refused(7))));
        let made = bodies.get("x".to_owned(), Encoding::Gzip, || Ok::<_, ()>(b"x".to_vec()));
        assert!(made.await.unwrap().length() > 1);
    }
}
