//! Rendering once for all requests that wait for the same body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::encoding::Encoding;
use super::rendered_body::{Ledger, RenderedBody};

/// Identifies a body: the name of the document, and its encoding.
type Key = (String, Encoding);

/// A body that waiting requests may share.
#[derive(Debug)]
struct Flight {
    key: Key,
    /// When its rendering began; its content is at least as new.
    began: Instant,
    body: Arc<RenderedBody>,
}

/// Renders one body at a time, off the runtime's workers.
#[derive(Debug)]
pub(super) struct SingleFlight {
    /// Locked while a body is rendered. Requests wait for the lock, and get it in the order in which they came.
    flights: Arc<Mutex<Vec<Flight>>>,
    /// How many requests wait or render.
    pending: Arc<AtomicUsize>,
    ledger: Arc<Ledger>,
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum FlightError<E> {
    /// The rendering returned an error.
    Render(E),
    /// The rendering panicked, or the runtime shuts down.
    Failed,
}

impl SingleFlight {
    /// Creates one whose bodies count toward the memory budget of `ledger`.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            flights: Arc::default(),
            pending: Arc::default(),
            ledger,
        }
    }

    /// Renders the document `name`, or returns the body of a rendering that another request began after this call. A
    /// rendering always completes, so that clients that connect and leave can't start many of them.
    ///
    /// # Errors
    /// When `render` fails or panics.
    pub async fn get<E: Send + 'static>(
        &self,
        name: String,
        encoding: Encoding,
        render: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Arc<RenderedBody>, FlightError<E>> {
        let encode = move || render().map(|body| encoding.encode(body));
        self.get_encoded(name, encoding, encode).await
    }

    /// Like [`Self::get`], for a `render` that encodes the body itself.
    ///
    /// # Errors
    /// When `render` fails or panics.
    pub async fn get_encoded<E: Send + 'static>(
        &self,
        name: String,
        encoding: Encoding,
        render: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Arc<RenderedBody>, FlightError<E>> {
        let requested = Instant::now();
        let key = (name, encoding);
        let pending = Pending::new(self);
        let mut flights = Arc::clone(&self.flights).lock_owned().await;
        // Requests that still wait came later than this one, so they can't use older bodies either.
        flights.retain(|flight| flight.began >= requested && !flight.body.is_revoked());
        if let Some(flight) = flights.iter().find(|flight| flight.key == key) {
            return Ok(Arc::clone(&flight.body));
        }
        let ledger = Arc::clone(&self.ledger);
        let rendering = tokio::task::spawn_blocking(move || {
            // Dropped after the lock.
            let _pending = pending;
            let mut flights = flights;
            let began = Instant::now();
            let body = ledger.add(render()?);
            flights.push(Flight {
                key,
                began,
                body: Arc::clone(&body),
            });
            Ok(body)
        });
        match rendering.await {
            Ok(result) => result.map_err(FlightError::Render),
            // The panic hook logs the panic itself.
            Err(_) => Err(FlightError::Failed),
        }
    }
}

/// Counts a request as pending until it is dropped. The last one drops the bodies, since no request waits for them.
struct Pending {
    flights: Arc<Mutex<Vec<Flight>>>,
    count: Arc<AtomicUsize>,
}

impl Pending {
    fn new(single_flight: &SingleFlight) -> Self {
        single_flight.pending.fetch_add(1, Ordering::SeqCst);
        Self {
            flights: Arc::clone(&single_flight.flights),
            count: Arc::clone(&single_flight.pending),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let is_last = self.count.fetch_sub(1, Ordering::SeqCst) == 1;
        // If the lock is held, a later request holds it.
        if let (true, Ok(mut flights)) = (is_last, self.flights.try_lock()) {
            flights.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn single_flight() -> SingleFlight {
        SingleFlight::new(Arc::default())
    }

    #[tokio::test]
    async fn requests_that_wait_for_the_same_body_share_it() {
        let flights = Arc::new(single_flight());
        let rendered = Arc::new(AtomicUsize::new(0));
        let requests = (0..50).map(|number| {
            let (flights, rendered) = (Arc::clone(&flights), Arc::clone(&rendered));
            tokio::spawn(async move {
                let name = if number % 2 == 0 { "even" } else { "odd" };
                let render = move || {
                    rendered.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                    Ok::<_, ()>(name.into())
                };
                let body = flights
                    .get(name.to_owned(), Encoding::Identity, render)
                    .await
                    .unwrap();
                assert_eq!(body.chunk(0, 10).unwrap(), name);
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        // The very first rendering began before the other requests.
        assert!(
            (2..=4).contains(&rendered.load(Ordering::Relaxed)),
            "{rendered:?}"
        );
    }

    #[tokio::test]
    async fn an_older_body_is_not_served() {
        let flights = single_flight();
        let get = |text: &'static str| {
            flights.get("x".to_owned(), Encoding::Identity, move || {
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
    async fn a_panic_does_not_affect_later_requests() {
        let flights = single_flight();
        let failed = flights.get("x".to_owned(), Encoding::Identity, || -> Result<_, ()> {
            panic!("on purpose")
        });
        assert!(matches!(failed.await, Err(FlightError::Failed)));
        let failed = flights.get("x".to_owned(), Encoding::Identity, || Err(7));
        assert!(matches!(failed.await, Err(FlightError::Render(7))));
        let rendered = flights.get("x".to_owned(), Encoding::Gzip, || Ok::<_, ()>(b"x".to_vec()));
        assert!(rendered.await.unwrap().length() > 1);
    }
}
