//! From a URL to a session: connects, does TLS as `sslmode` says, logs in.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Config, NoTls};

use super::fault::{self, Doing};
use super::session::Session;
use super::watched::Watched;
use crate::config::postgres::{PostgresSettings, ServerAddress, SslMode};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::dial::dial;
use crate::net::endpoint::connect_unix;
use crate::net::io_error;
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::Stream;
use crate::net::tls::TlsClient;

/// How much a run may read, in bytes: a login brings about 500, the statistics 200, and a query one row.
const MAX_ANSWER_BYTES: u64 = 256 << 10;
/// SSLRequest (PostgreSQL's documentation, "Message Formats"): its length, and 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One way to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    TlsIfOffered,
    Tls,
}

/// Why one way did not lead to a session, and whether another one may.
struct Refusal {
    problem: Problem,
    depends_on_tls: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            depends_on_tls: false,
        }
    }
}

/// Makes sessions.
#[derive(Debug)]
pub struct Connector {
    settings: Arc<PostgresSettings>,
    network: Network,
    tls: TlsClient,
    read_budget: ReadBudget,
    target: String,
}

impl Connector {
    /// Makes sessions with these settings.
    pub fn new(settings: &Arc<PostgresSettings>, network: &Network) -> Self {
        Self {
            settings: settings.clone(),
            network: network.clone(),
            tls: TlsClient::new(&settings.url.tls, &[], &network.trust),
            read_budget: ReadBudget::new(MAX_ANSWER_BYTES),
            target: settings.target(),
        }
    }

    /// Begins a run.
    pub fn begin(&self) {
        self.read_budget.renew();
    }

    /// What is connected to, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Connects and logs in. Where `sslmode` leaves it open, the second way is tried as libpq does: when the first was
    /// turned away before a password was asked for, or its handshake failed.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn connect(
        &mut self,
        password: Option<&Secret>,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Reusable<Session>, Problem> {
        trace.certificates = None;
        let (first, second) = match (&self.settings.url.address, self.settings.url.ssl_mode) {
            (ServerAddress::Unix { .. }, _) | (_, SslMode::Disable) => (Way::Plain, None),
            (_, SslMode::Allow) => (Way::Plain, Some(Way::Tls)),
            (_, SslMode::Prefer) => (Way::TlsIfOffered, Some(Way::Plain)),
            (_, SslMode::Require) => (Way::Tls, None),
        };
        let refusal = match self.login(first, password, trace).await {
            Ok(session) => return Ok(session),
            Err(refusal) => refusal,
        };
        let Some(second) = second.filter(|_| refusal.depends_on_tls) else {
            return Err(refusal.problem);
        };
        self.login(second, password, trace)
            .await
            .map_err(|again| match again.depends_on_tls {
                // Neither way is open: what was wrong with the one that counts more.
                true => refusal.problem,
                false => again.problem,
            })
    }

    async fn login(
        &mut self,
        way: Way,
        password: Option<&Secret>,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Reusable<Session>, Refusal> {
        let stream = self.stream(way, trace).await?;
        trace.enter(Phase::Processing);
        trace.at(Step::Doing(format!("logging in to {}", self.target).into()));
        let url = &self.settings.url;
        let mut config = Config::new();
        config.user(&url.user).application_name(&url.application_name);
        url.database.as_ref().map(|database| config.dbname(database));
        url.options.as_ref().map(|options| config.options(options));
        password.map(|password| config.password(password.expose()));
        // TLS is done by now, below what the library sees.
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        match config.connect_raw(Watched::new(stream), NoTls).await {
            Ok(session) => Ok(Reusable::new(Session::new(session), password.cloned(), trace)),
            Err(error) => Err(Refusal {
                problem: fault::problem(&error, &self.target, Doing::Login),
                depends_on_tls: fault::is_turned_away(&error),
            }),
        }
    }

    async fn stream(&mut self, way: Way, trace: &mut RunRecorder<'_>) -> Result<Stream, Refusal> {
        let address = match &self.settings.url.address {
            ServerAddress::Host(address) => address,
            ServerAddress::Unix { folder, port } => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                return Ok(connect_unix(&path, &self.read_budget, trace).await?);
            }
        };
        let (resolver, preference) = (&self.network.resolver, self.settings.preference);
        let (mut stream, peer) = dial(resolver, address, preference, None, trace).await?;
        if way == Way::Plain {
            return Ok(Stream::tcp(stream, &self.read_budget)?);
        }
        trace.at(Step::Doing(
            format!(
                "waiting for {peer} to say whether it does TLS (does PostgreSQL listen there, does it hang?)"
            )
            .into(),
        ));
        match (offers_tls(&mut stream, peer).await?, way) {
            (false, Way::Tls) => {
                let message = format!(
                    "{}: the server does not do TLS: set ssl = on there, or write sslmode=disable where the \
                     network can be trusted",
                    self.target
                );
                Err(Problem::new(Reason::Tls, message).into())
            }
            (false, _) => Ok(Stream::tcp(stream, &self.read_budget)?),
            (true, _) => match self.tls.handshake(stream, peer, &address.host, trace).await {
                Ok(secured) => Ok(Stream::tls(secured, &self.read_budget)),
                Err(problem) => Err(Refusal {
                    depends_on_tls: problem.reason == Reason::Tls,
                    problem: fault::of_tls(&problem),
                }),
            },
        }
    }
}

/// Asks for TLS. What comes after the one byte of the answer belongs to the handshake, so no more is read.
async fn offers_tls(stream: &mut TcpStream, peer: SocketAddr) -> Result<bool, Problem> {
    let at = |reason, what: &dyn std::fmt::Display| {
        Problem::new(reason, format_args!("asking {peer} whether it does TLS: {what}"))
    };
    let mut answer = [0];
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    match asked.await {
        Err(error) => Err(match io_error::reason(&error) {
            Reason::Closed => at(Reason::Closed, &"it closed the connection instead of answering"),
            _ => io_error::problem(&error, format_args!("asking {peer} whether it does TLS: {error}")),
        }),
        Ok(_) => match answer {
            [b'S'] => Ok(true),
            [b'N'] => Ok(false),
            [b'E'] => Err(at(
                Reason::Status,
                &"it answers with an error, as a server does that can't serve anybody: look into its log",
            )),
            _ => Err(at(
                Reason::Protocol,
                &"it does not speak PostgreSQL's protocol: is another service listening there?",
            )),
        },
    }
}
