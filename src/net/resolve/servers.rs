//! Asks the name servers of resolv.conf, one after the other, over UDP or TCP.

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

use super::answer::{Answer, Failure, Verdict, judge};
use super::conf::{ResolvConf, ServerAddress};
use crate::model::Problem;
use crate::net::connect::connect;
use crate::net::dns_exchange;

/// How long the other protocol's addresses are awaited once the preferred one's are there (RFC 8305, section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long the preferred protocol's addresses are awaited once the other one's are there. Some name servers never answer
/// questions for AAAA records, which must not take a service down that everybody reaches. Longer than the 50 ms of RFC
/// 8305, so that a slow answer does not overrule the preference; shorter than the default limit of a response time.
const PREFERENCE_DELAY: Duration = Duration::from_millis(500);

/// The longest datagram that a question with the option edns0 asks for (RESOLV_EDNS_BUFFER_SIZE of glibc): it fits through
/// every network.
const EDNS_PAYLOAD: u16 = 1200;

/// The name servers, and how they are asked.
#[derive(Debug)]
pub struct Servers {
    /// What resolv.conf says.
    pub conf: ResolvConf,
    port: u16,
    turn: AtomicUsize,
}

impl Servers {
    /// The servers of this configuration, all with this port.
    pub fn new(conf: ResolvConf, port: u16) -> Self {
        Self {
            conf,
            port,
            turn: AtomicUsize::new(0),
        }
    }

    /// What the name servers say about a name. They are asked in order, each for as long as resolv.conf says, but for no longer
    /// than leaves the others, and what follows, their share of the time before the deadline.
    ///
    /// A server that is waited for no longer is still listened to: its late answer counts. Where its time was cut short, its word
    /// goes before a later server's that there is no such name: the first server may be the only one that knows internal names.
    ///
    /// # Errors
    /// Where this machine lacks what it takes to ask.
    pub async fn ask(
        &self,
        name: &Name,
        records: &[RecordType],
        deadline: Option<Instant>,
    ) -> Result<Verdict, Problem> {
        let servers = self.in_order();
        let again: Vec<Notify> = servers.iter().map(|_| Notify::new()).collect();
        let mut open = FuturesUnordered::new();
        let mut asked_at: Vec<Option<Instant>> = vec![None; servers.len()];
        let mut failures = vec![Failure::default(); servers.len()];
        for step in 0..self.conf.attempts * servers.len() {
            let at = step % servers.len();
            let now = Instant::now();
            let patience = patience(
                self.conf.timeout,
                deadline.map(|end| end - now),
                servers.len() - at,
            );
            if asked_at[at].is_some() {
                again[at].notify_waiters();
            } else {
                asked_at[at] = Some(now);
                let asked = self.ask_one(servers[at], &again[at], name, records, patience);
                open.push(asked.map(move |verdict| (at, verdict)));
            }
            let mut until = now + patience;
            let mut held: Option<(usize, Verdict)> = None;
            while let Ok(Some((by, verdict))) = timeout_at(until, open.next()).await {
                asked_at[by] = None;
                match verdict? {
                    found @ Verdict::Found(_) => return Ok(found),
                    Verdict::Failed(failure) if failure.moves_on => {
                        failures[by] = failure;
                        if by == at && held.is_none() {
                            break;
                        }
                    }
                    word => {
                        let full = |asked: &Instant| *asked + self.conf.timeout;
                        let ends = asked_at[..by].iter().flatten().map(full).max();
                        let now = Instant::now();
                        let share = deadline.map_or(self.conf.timeout, |end| (end - now) / 2);
                        until = ends.unwrap_or(now).min(now + share);
                        held = Some((by, word));
                    }
                }
                let is_first = |by: &usize| asked_at[..*by].iter().all(Option::is_none);
                if held.as_ref().is_some_and(|(by, _)| is_first(by)) {
                    break;
                }
            }
            if let Some((_, word)) = held {
                return Ok(word);
            }
            if asked_at[at].is_some() {
                failures[at] = silent(servers[at].ip(), patience);
            }
        }
        Ok(Verdict::Failed(all_of(&failures)))
    }

    /// The servers in the order they are asked.
    fn in_order(&self) -> Vec<SocketAddr> {
        let mut servers: Vec<SocketAddr> = self
            .conf
            .servers
            .iter()
            .map(|server| address(server, self.port))
            .collect();
        if self.conf.rotate {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
            servers.rotate_left(turn);
        }
        servers
    }

    /// Asks one server for all records at the same time, and does not wait for it to end.
    async fn ask_one(
        &self,
        server: SocketAddr,
        again: &Notify,
        name: &Name,
        records: &[RecordType],
        patience: Duration,
    ) -> Result<Verdict, Problem> {
        let question = |record| self.question(server, again, name, record);
        let &[preferred, other] = records else {
            let mut answers = Vec::new();
            for record in records {
                answers.push((*record, question(*record).await?));
            }
            return Ok(judge(server.ip(), &answers));
        };
        let mut first = pin!(question(preferred));
        let mut second = pin!(question(other));
        let (first, second) = tokio::select! {
            biased;
            answer = &mut first => {
                let answer = answer?;
                let delay = delay(&answer, RESOLUTION_DELAY);
                (answer, timeout(delay, second).await.unwrap_or(Ok(Answer::Empty))?)
            }
            answer = &mut second => {
                let answer = answer?;
                let delay = delay(&answer, PREFERENCE_DELAY.min(patience / 2));
                (timeout(delay, first).await.unwrap_or(Ok(Answer::Empty))?, answer)
            }
        };
        Ok(judge(server.ip(), &[(preferred, first), (other, second)]))
    }

    /// Asks one server one question.
    async fn question(
        &self,
        server: SocketAddr,
        again: &Notify,
        name: &Name,
        record: RecordType,
    ) -> Result<Answer, Problem> {
        let mut answer = self.exchange(server, again, name, record, self.conf.edns0).await;
        let is_refused = |message: &Message| message.metadata.response_code == ResponseCode::FormErr;
        // A server that is too old for EDNS (RFC 6891, section 7).
        if self.conf.edns0 && answer.as_ref().is_ok_and(is_refused) {
            answer = self.exchange(server, again, name, record, false).await;
        }
        match answer {
            Ok(message) => Ok(Answer::read(&message, name, record)),
            Err(problem) if problem.shortage.is_some() => Err(problem),
            Err(problem) => Ok(Answer::Nothing(problem.message().to_owned())),
        }
    }

    /// Sends a question, over TCP where the answer does not fit into a datagram.
    async fn exchange(
        &self,
        server: SocketAddr,
        again: &Notify,
        name: &Name,
        record: RecordType,
        has_edns: bool,
    ) -> Result<Message, Problem> {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(name.clone(), record));
        if has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_PAYLOAD);
            question.set_edns(edns);
        }
        let packed = dns_exchange::pack(&question)?;
        if !self.conf.use_vc {
            let answer = over_udp(server, again, &question, &packed).await?;
            if !answer.metadata.truncation {
                return Ok(answer);
            }
        }
        let connected = connect(server, None).await;
        let mut stream = connected.map_err(|error| dns_exchange::broken(server, &error))?;
        dns_exchange::over_stream(&mut stream, server, &question, &packed).await
    }
}

/// Asks in a datagram, and in the same one again as often as it is asked to. Each question has a socket, and so a port, of its
/// own.
async fn over_udp(
    server: SocketAddr,
    again: &Notify,
    question: &Message,
    packed: &[u8],
) -> Result<Message, Problem> {
    let socket = dns_exchange::udp(server, None).await?;
    loop {
        let once_more = again.notified();
        dns_exchange::send(&socket, server, packed).await?;
        tokio::select! {
            answer = dns_exchange::receive(&socket, server, question, |_| {}) => return answer,
            () = once_more => {}
        }
    }
}

/// How long to wait for the other answer after this one: as long as there is patience where this one holds no address.
fn delay(answer: &Answer, after_addresses: Duration) -> Duration {
    match answer {
        Answer::Addresses(_) => after_addresses,
        _ => Duration::MAX,
    }
}

/// How long a server is waited for: as long as resolv.conf says, but of the time that is left no more than its share, where
/// as much is left for each server that follows and for what the addresses are for.
fn patience(configured: Duration, left: Option<Duration>, servers: usize) -> Duration {
    let shares = u32::try_from(servers + 1).unwrap_or(u32::MAX);
    left.map_or(configured, |left| configured.min(left / shares))
}

fn silent(server: IpAddr, patience: Duration) -> Failure {
    // Whole milliseconds, to be read.
    let waited = Duration::from_millis(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
    Failure {
        text: format!("{server} does not answer within {waited:?}"),
        moves_on: true,
        is_servfail: false,
    }
}

/// The failures of all servers in one.
fn all_of(failures: &[Failure]) -> Failure {
    let texts: Vec<&str> = failures.iter().map(|failure| failure.text.as_str()).collect();
    Failure {
        text: texts.join("; "),
        moves_on: true,
        is_servfail: failures.last().is_some_and(|failure| failure.is_servfail),
    }
}

/// Where a server is. An interface that does not exist (yet) is none.
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
    fn every_server_has_its_turn_before_the_deadline() {
        let seconds = Duration::from_secs;
        // As resolv.conf says, where there is no deadline or one far away.
        assert_eq!(patience(seconds(5), None, 3), seconds(5));
        assert_eq!(patience(seconds(5), Some(seconds(60)), 3), seconds(5));
        for (deadline, servers) in [(1, 1), (1, 3), (3, 2), (10, 1), (10, 2), (10, 3)] {
            let mut left = seconds(deadline);
            for at in 0..servers {
                left -= patience(seconds(5), Some(left), servers - at);
            }
            let rest = left.as_secs_f64() / seconds(deadline).as_secs_f64();
            let share = 1.0 / f64::from(u32::try_from(servers).unwrap() + 1);
            assert!(
                rest >= share - 0.001,
                "{deadline} s, {servers} servers: {rest} is left"
            );
        }
        assert_eq!(patience(seconds(5), Some(seconds(10)), 1), seconds(5));
        assert_eq!(patience(seconds(5), Some(Duration::ZERO), 1), Duration::ZERO);
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
