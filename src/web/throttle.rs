//! Token buckets: a single one, and a bounded table with one per address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Rate;
use super::peer::Peer;

/// A token bucket, stored as the time at which it will be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket(Instant);

impl TokenBucket {
    /// Creates a full bucket.
    pub fn full() -> Self {
        Self(Instant::now())
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When the bucket is empty: the time until the next token.
    pub fn take(&mut self, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let full_again = self.0.max(now) + rate.interval;
        let wait = (full_again - now).saturating_sub(rate.interval.saturating_mul(rate.burst));
        if wait.is_zero() {
            self.0 = full_again;
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// Returns a token that was taken.
    fn refund(&mut self, rate: Rate) {
        self.0 = self.0.checked_sub(rate.interval).unwrap_or(self.0);
    }
}

/// One bucket per origin.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Rate,
    max_origins: usize,
    buckets: Mutex<HashMap<Peer, TokenBucket>>,
}

impl Throttle {
    /// Creates a throttle that stores at most `max_origins` origins. Beyond that, it forgets the one with the most tokens.
    pub fn new(rate: Rate, max_origins: usize) -> Self {
        Self {
            rate,
            max_origins,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of the origin.
    ///
    /// # Errors
    /// When its bucket is empty: the time until the next token.
    pub fn take(&self, peer: Peer) -> Result<(), Duration> {
        let origin = peer.origin();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.max_origins && !buckets.contains_key(&origin) {
            let now = Instant::now();
            buckets.retain(|_, bucket| bucket.0 > now);
            if buckets.len() >= self.max_origins
                && let Some(fullest) = buckets.iter().min_by_key(|(_, bucket)| bucket.0)
            {
                let fullest = *fullest.0;
                buckets.remove(&fullest);
            }
        }
        buckets
            .entry(origin)
            .or_insert_with(TokenBucket::full)
            .take(self.rate)
    }

    /// Returns a token to the origin.
    pub fn refund(&self, peer: Peer) {
        let origin = peer.origin();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&origin) {
            bucket.refund(self.rate);
            if bucket.0 <= Instant::now() {
                buckets.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio::time::advance;

    use super::*;

    const RATE: Rate = Rate {
        interval: Duration::from_secs(2),
        burst: 3,
    };

    fn ip(text: &str) -> Peer {
        Peer::Ip(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_and_then_one_token_per_interval() {
        let mut bucket = TokenBucket::full();
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE), Ok(()));
        }
        assert_eq!(bucket.take(RATE), Err(Duration::from_secs(2)));
        advance(Duration::from_millis(1500)).await;
        assert_eq!(bucket.take(RATE), Err(Duration::from_millis(500)));
        advance(Duration::from_millis(500)).await;
        assert_eq!(bucket.take(RATE), Ok(()));
        assert!(bucket.take(RATE).is_err());
        bucket.refund(RATE);
        assert_eq!(bucket.take(RATE), Ok(()));
        // A long pause adds no more than the burst.
        advance(Duration::from_secs(3600)).await;
        assert_eq!((0..10).filter(|_| bucket.take(RATE).is_ok()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_keeps_the_most_active_origin() {
        let throttle = Throttle::new(RATE, 50);
        let worst = ip("192.0.2.1");
        while throttle.take(worst).is_ok() {}
        for number in 0..10_000_u128 {
            let network = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64));
            assert!(throttle.take(Peer::Ip(network.into())).is_ok());
            assert!(throttle.buckets.lock().unwrap().len() <= 50);
        }
        assert!(throttle.take(worst).is_err());
        // Full buckets are dropped.
        advance(Duration::from_secs(60)).await;
        throttle.take(Peer::Local).unwrap();
        assert_eq!(throttle.buckets.lock().unwrap().len(), 1);
        throttle.refund(Peer::Local);
        assert_eq!(throttle.buckets.lock().unwrap().len(), 0);
    }
}
