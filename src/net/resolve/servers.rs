//! Queries the name servers of resolv.conf in order, over UDP or TCP.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::conf::{ResolvConf, ServerAddress};
use super::response::{Failure, Lookup, Response, combine};
use crate::model::Problem;
use crate::net::connect::connect;
use crate::net::dns_exchange;

/// How long to wait for addresses of the other protocol after those of the preferred one (RFC 8305, section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long to wait for addresses of the preferred protocol after those of the other one. Some name servers never respond to
/// queries for AAAA records, and a reachable service must not fail for that. The delay is longer than the 50 ms of RFC 8305,
/// so that a slow response does not override the preference. It is shorter than the default limit of a response time.
const PREFERENCE_DELAY: Duration = Duration::from_millis(500);

/// The longest datagram that queries with the option edns0 accept (RESOLV_EDNS_BUFFER_SIZE of glibc). It fits through every
/// network.
const EDNS_PAYLOAD: u16 = 1200;

/// The name servers, and how they are queried.
#[derive(Debug)]
pub struct Servers {
    /// The settings of resolv.conf.
    pub conf: ResolvConf,
    port: u16,
    rotation: AtomicUsize,
}

impl Servers {
    /// The servers of this configuration, with this port.
    pub fn new(conf: ResolvConf, port: u16) -> Self {
        Self {
            conf,
            port,
            rotation: AtomicUsize::new(0),
        }
    }

    /// Looks up a name. The servers are queried in order, each for the timeout of resolv.conf. The timeout is shorter if the
    /// deadline is near: the later servers, and the run itself, get the same share of the time.
    ///
    /// The late response of an earlier server is still used. If the timeout of an earlier server was shortened, its response
    /// takes precedence over a later server's response that the name does not exist, since the first server may be the only
    /// one that knows internal names.
    ///
    /// # Errors
    /// A shortage that prevents queries.
    pub async fn look_up(
        &self,
        name: &Name,
        records: &[RecordType],
        deadline: Option<Instant>,
    ) -> Result<Lookup, Problem> {
        let servers = self.in_order();
        let resend: Vec<Notify> = servers.iter().map(|_| Notify::new()).collect();
        let mut pending = FuturesUnordered::new();
        let mut queried_at: Vec<Option<Instant>> = vec![None; servers.len()];
        let mut failures = vec![Failure::default(); servers.len()];
        for step in 0..self.conf.attempts * servers.len() {
            let at = step % servers.len();
            let now = Instant::now();
            let wait = server_wait(
                self.conf.timeout,
                deadline.map(|end| end - now),
                servers.len() - at,
            );
            if queried_at[at].is_some() {
                resend[at].notify_waiters();
            } else {
                queried_at[at] = Some(now);
                let lookup = self.look_up_at(servers[at], &resend[at], name, records, wait);
                pending.push(lookup.map(move |lookup| (at, lookup)));
            }
            let mut until = now + wait;
            // A final result that waits for the servers before its own.
            let mut held: Option<(usize, Lookup)> = None;
            while let Ok(Some((by, lookup))) = timeout_at(until, pending.next()).await {
                queried_at[by] = None;
                match lookup? {
                    found @ Lookup::Found(_) => return Ok(found),
                    Lookup::Failed(failure) if failure.try_next_server => {
                        failures[by] = failure;
                        if by == at && held.is_none() {
                            break;
                        }
                    }
                    lookup => {
                        let full = |queried: &Instant| *queried + self.conf.timeout;
                        let ends = queried_at[..by].iter().flatten().map(full).max();
                        let now = Instant::now();
                        let share = deadline.map_or(self.conf.timeout, |end| (end - now) / 2);
                        until = ends.unwrap_or(now).min(now + share);
                        held = Some((by, lookup));
                    }
                }
                let is_first = |by: &usize| queried_at[..*by].iter().all(Option::is_none);
                if held.as_ref().is_some_and(|(by, _)| is_first(by)) {
                    break;
                }
            }
            if let Some((_, lookup)) = held {
                return Ok(lookup);
            }
            if queried_at[at].is_some() {
                failures[at] = timed_out(servers[at].ip(), wait);
            }
        }
        Ok(Lookup::Failed(combine_failures(&failures)))
    }

    /// The servers in the order in which they are queried.
    fn in_order(&self) -> Vec<SocketAddr> {
        let mut servers: Vec<SocketAddr> = self
            .conf
            .servers
            .iter()
            .map(|server| address(server, self.port))
            .collect();
        if self.conf.rotate {
            let first = self.rotation.fetch_add(1, Ordering::Relaxed) % servers.len();
            servers.rotate_left(first);
        }
        servers
    }

    /// Queries one server for all records at the same time. `wait` is how long the caller waits before it queries the next
    /// server; this future continues after that.
    async fn look_up_at(
        &self,
        server: SocketAddr,
        resend: &Notify,
        name: &Name,
        records: &[RecordType],
        wait: Duration,
    ) -> Result<Lookup, Problem> {
        let query = |record| self.query(server, resend, name, record);
        let &[preferred, other] = records else {
            let mut responses = Vec::new();
            for record in records {
                responses.push((*record, query(*record).await?));
            }
            return Ok(combine(server.ip(), &responses));
        };
        let mut first = pin!(query(preferred));
        let mut second = pin!(query(other));
        let (first, second) = tokio::select! {
            biased;
            response = &mut first => {
                let response = response?;
                let delay = delay(&response, RESOLUTION_DELAY);
                (response, timeout(delay, second).await.unwrap_or(Ok(Response::Empty))?)
            }
            response = &mut second => {
                let response = response?;
                let delay = delay(&response, PREFERENCE_DELAY.min(wait / 2));
                (timeout(delay, first).await.unwrap_or(Ok(Response::Empty))?, response)
            }
        };
        Ok(combine(server.ip(), &[(preferred, first), (other, second)]))
    }

    /// Sends one query to one server.
    async fn query(
        &self,
        server: SocketAddr,
        resend: &Notify,
        name: &Name,
        record: RecordType,
    ) -> Result<Response, Problem> {
        let mut response = self.exchange(server, resend, name, record, self.conf.edns0).await;
        let is_refused = |message: &Message| message.metadata.response_code == ResponseCode::FormErr;
        // The server does not support EDNS (RFC 6891, section 7).
        if self.conf.edns0 && response.as_ref().is_ok_and(is_refused) {
            response = self.exchange(server, resend, name, record, false).await;
        }
        match response {
            Ok(message) => Ok(Response::from_message(&message, name, record)),
            Err(problem) if problem.shortage.is_some() => Err(problem),
            Err(problem) => Ok(Response::Nothing(problem.message().to_owned())),
        }
    }

    /// Sends a query, and repeats it over TCP if the response does not fit into a datagram.
    async fn exchange(
        &self,
        server: SocketAddr,
        resend: &Notify,
        name: &Name,
        record: RecordType,
        has_edns: bool,
    ) -> Result<Message, Problem> {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(name.clone(), record));
        if has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_PAYLOAD);
            query.set_edns(edns);
        }
        let encoded = dns_exchange::encode(&query)?;
        if !self.conf.use_vc {
            let response = exchange_over_udp(server, resend, &query, &encoded).await?;
            if !response.metadata.truncation {
                return Ok(response);
            }
        }
        let connected = connect(server, None).await;
        let mut stream = connected.map_err(|error| dns_exchange::stream_problem(server, &error))?;
        let received = dns_exchange::exchange_over_stream(&mut stream, server, &query, &encoded);
        dns_exchange::parse(server, &received.await?)
    }
}

/// Sends a query in a datagram, and sends it again on every notification. Every query has its own socket, and so its own port.
async fn exchange_over_udp(
    server: SocketAddr,
    resend: &Notify,
    query: &Message,
    encoded: &[u8],
) -> Result<Message, Problem> {
    let socket = dns_exchange::connect_udp(server, None).await?;
    loop {
        let resend = resend.notified();
        dns_exchange::send(&socket, server, encoded).await?;
        tokio::select! {
            response = dns_exchange::receive(&socket, server, query, |_| {}) => {
                return dns_exchange::parse(server, &response?);
            }
            () = resend => {}
        }
    }
}

/// How long to wait for the other response after this one: without a limit if this one has no addresses.
fn delay(response: &Response, after_addresses: Duration) -> Duration {
    match response {
        Response::Addresses(_) => after_addresses,
        _ => Duration::MAX,
    }
}

/// How long to wait for a server: the configured timeout, or its share of the time left. Every later server and the rest of
/// the run have the same share.
fn server_wait(configured: Duration, left: Option<Duration>, servers: usize) -> Duration {
    let shares = u32::try_from(servers + 1).unwrap_or(u32::MAX);
    left.map_or(configured, |left| configured.min(left / shares))
}

fn timed_out(server: IpAddr, wait: Duration) -> Failure {
    // Whole milliseconds, since the message shows it.
    let waited = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Failure {
        text: format!("{server} did not respond within {waited:?}"),
        try_next_server: true,
        is_servfail: false,
    }
}

/// Combines the failures of all servers.
fn combine_failures(failures: &[Failure]) -> Failure {
    let texts: Vec<&str> = failures.iter().map(|failure| failure.text.as_str()).collect();
    Failure {
        text: texts.join("; "),
        try_next_server: true,
        is_servfail: failures.last().is_some_and(|failure| failure.is_servfail),
    }
}

/// The socket address of a server. An interface that does not exist (yet) is ignored.
fn address(server: &ServerAddress, port: u16) -> SocketAddr {
    match (server.ip, &server.zone) {
        (IpAddr::V6(ip), Some(zone)) => {
            let by_name = || nix::net::if_::if_nametoindex(zone.as_str()).ok();
            let scope = zone.parse().ok().or_else(by_name).unwrap_or_default();
            SocketAddrV6::new(ip, port, 0, scope).into()
        }
        (ip, _) => SocketAddr::new(ip, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_queried_before_the_deadline() {
        let seconds = Duration::from_secs;
        // The configured timeout, without a deadline or with a distant one.
        assert_eq!(server_wait(seconds(5), None, 3), seconds(5));
        assert_eq!(server_wait(seconds(5), Some(seconds(60)), 3), seconds(5));
        for (deadline, servers) in [(1, 1), (1, 3), (3, 2), (10, 1), (10, 2), (10, 3)] {
            let mut left = seconds(deadline);
            for at in 0..servers {
                left -= server_wait(seconds(5), Some(left), servers - at);
            }
            let rest = left.as_secs_f64() / seconds(deadline).as_secs_f64();
            let share = 1.0 / f64::from(u32::try_from(servers).unwrap() + 1);
            assert!(
                rest >= share - 0.001,
                "{deadline} s, {servers} servers: {rest} is left"
            );
        }
        assert_eq!(server_wait(seconds(5), Some(seconds(10)), 1), seconds(5));
        assert_eq!(server_wait(seconds(5), Some(Duration::ZERO), 1), Duration::ZERO);
    }

    #[test]
    fn zones_are_interfaces() {
        let at = |zone: &str| {
            let server = ServerAddress {
                ip: "fe80::1".parse().unwrap(),
                zone: Some(zone.to_owned()),
            };
            address(&server, 53).to_string()
        };
        assert_eq!(at("7"), "[fe80::1%7]:53");
        assert_eq!(at("lo"), "[fe80::1%1]:53");
        assert_eq!(at("no-such-if"), "[fe80::1]:53");
    }
}
