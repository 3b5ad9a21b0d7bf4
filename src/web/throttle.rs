//! Token buckets: one, or one for each address that something has to be held against, in a table that does not grow.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Rate;

/// Whom a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// A client of this address.
    Ip(IpAddr),
    /// A process of this machine, by a Unix socket.
    Local,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.to_canonical().fmt(f),
            Self::Local => f.write_str("a process of this machine"),
        }
    }
}

impl Peer {
    /// The address of its origin; all processes of this machine that use a Unix socket have none.
    pub fn address(self) -> Option<IpAddr> {
        match self.origin() {
            Self::Ip(address) => Some(address),
            Self::Local => None,
        }
    }

    /// What one client can't easily change: of IPv6, the network that it picks its addresses of (RFC 4291, section 2.5.1).
    /// IPv4 addresses come as IPv6 ones where a socket serves both.
    pub fn origin(self) -> Self {
        match self {
            Self::Local => Self::Local,
            Self::Ip(address) => match address.to_canonical() {
                IpAddr::V4(address) => Self::Ip(address.into()),
                IpAddr::V6(address) => {
                    let network = address.to_bits() & !u128::from(u64::MAX);
                    Self::Ip(Ipv6Addr::from_bits(network).into())
                }
            },
        }
    }
}

/// A token bucket, told by the moment at which it will be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket(Instant);

impl Bucket {
    /// A full one.
    pub fn full() -> Self {
        Self(Instant::now())
    }

    /// Takes a token, or says in what time there is one.
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

    fn give_back(&mut self, rate: Rate) {
        self.0 = self.0.checked_sub(rate.interval).unwrap_or(self.0);
    }
}

/// A bucket for each origin.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Rate,
    most: usize,
    buckets: Mutex<HashMap<Peer, Bucket>>,
}

impl Throttle {
    /// At most `most` origins are remembered: beyond, those are forgotten that did the least of late.
    pub fn new(rate: Rate, most: usize) -> Self {
        Self {
            rate,
            most,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of the origin, or says in what time there is one.
    pub fn take(&self, peer: Peer) -> Result<(), Duration> {
        let origin = peer.origin();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.most && !buckets.contains_key(&origin) {
            let now = Instant::now();
            buckets.retain(|_, bucket| bucket.0 > now);
            if buckets.len() >= self.most
                && let Some(fullest) = buckets.iter().min_by_key(|(_, bucket)| bucket.0)
            {
                let fullest = *fullest.0;
                buckets.remove(&fullest);
            }
        }
        buckets.entry(origin).or_insert_with(Bucket::full).take(self.rate)
    }

    /// Gives a token back to the origin.
    pub fn give_back(&self, peer: Peer) {
        let origin = peer.origin();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&origin) {
            bucket.give_back(self.rate);
            if bucket.0 <= Instant::now() {
                buckets.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
    async fn a_bucket_gives_its_burst_and_then_one_an_interval() {
        let mut bucket = Bucket::full();
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE), Ok(()));
        }
        assert_eq!(bucket.take(RATE), Err(Duration::from_secs(2)));
        advance(Duration::from_millis(1500)).await;
        assert_eq!(bucket.take(RATE), Err(Duration::from_millis(500)));
        advance(Duration::from_millis(500)).await;
        assert_eq!(bucket.take(RATE), Ok(()));
        assert!(bucket.take(RATE).is_err());
        bucket.give_back(RATE);
        assert_eq!(bucket.take(RATE), Ok(()));
        // However long nothing happens, there are no more than the burst.
        advance(Duration::from_secs(3600)).await;
        assert_eq!((0..10).filter(|_| bucket.take(RATE).is_ok()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_origin_is_an_ipv4_address_or_an_ipv6_network() {
        let throttle = Throttle::new(RATE, 100);
        for (first, same, other) in [
            (ip("192.0.2.1"), ip("::ffff:192.0.2.1"), ip("192.0.2.2")),
            (
                ip("2001:db8::1"),
                ip("2001:db8::ffff:0:0:9"),
                ip("2001:db8:0:1::1"),
            ),
            (Peer::Local, Peer::Local, ip("127.0.0.1")),
        ] {
            assert_eq!((0..10).filter(|_| throttle.take(first).is_ok()).count(), 3);
            assert!(throttle.take(same).is_err(), "{same:?}");
            assert!(throttle.take(other).is_ok(), "{other:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_does_not_grow_and_remembers_who_did_most() {
        let throttle = Throttle::new(RATE, 50);
        let worst = ip("192.0.2.1");
        while throttle.take(worst).is_ok() {}
        for number in 0..10_000_u128 {
            let network = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64));
            assert!(throttle.take(Peer::Ip(network.into())).is_ok());
            assert!(throttle.buckets.lock().unwrap().len() <= 50);
        }
        assert!(throttle.take(worst).is_err());
        // What is full again is forgotten for free.
        advance(Duration::from_secs(60)).await;
        throttle.take(Peer::Local).unwrap();
        assert_eq!(throttle.buckets.lock().unwrap().len(), 1);
        throttle.give_back(Peer::Local);
        assert_eq!(throttle.buckets.lock().unwrap().len(), 0);
    }
}
