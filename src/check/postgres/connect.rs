//! Opens sessions: connects, negotiates TLS according to `sslmode`, and logs in.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Config, NoTls};

use super::checked_stream::CheckedStream;
use super::fault::{self, Operation};
use super::session::PostgresSession;
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

/// The maximum number of bytes that a run reads. A login has about 500, the statistics 200, and a query one row.
const MAX_RESPONSE_BYTES: u64 = 256 << 10;
/// The SSLRequest message (PostgreSQL's documentation, "Message Formats"): its length, and the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether a connection attempt uses TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    Plain,
    TlsIfOffered,
    Tls,
}

/// Why a connection attempt failed, and whether one with another encryption may succeed.
struct LoginError {
    problem: Problem,
    depends_on_tls: bool,
}

impl From<Problem> for LoginError {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            depends_on_tls: false,
        }
    }
}

/// Opens sessions.
#[derive(Debug)]
pub struct Connector {
    settings: Arc<PostgresSettings>,
    network: Network,
    tls: TlsClient,
    read_budget: ReadBudget,
    target: String,
}

impl Connector {
    /// A connector with these settings.
    pub fn new(settings: &Arc<PostgresSettings>, network: &Network) -> Self {
        Self {
            settings: settings.clone(),
            network: network.clone(),
            tls: TlsClient::new(&settings.url.tls, &[], &network.trust),
            read_budget: ReadBudget::new(MAX_RESPONSE_BYTES),
            target: settings.target(),
        }
    }

    /// Starts a run.
    pub fn begin(&self) {
        self.read_budget.renew();
    }

    /// The server's URL without secrets, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Connects and logs in. If `sslmode` allows both with and without TLS, tries the second as libpq does: when the server
    /// rejected the first before it requested a password, or when the TLS handshake failed.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn connect(
        &mut self,
        password: Option<&Secret>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Reusable<PostgresSession>, Problem> {
        recorder.certificates = None;
        let (first, second) = match (&self.settings.url.address, self.settings.url.ssl_mode) {
            (ServerAddress::Unix { .. }, _) | (_, SslMode::Disable) => (Encryption::Plain, None),
            (_, SslMode::Allow) => (Encryption::Plain, Some(Encryption::Tls)),
            (_, SslMode::Prefer) => (Encryption::TlsIfOffered, Some(Encryption::Plain)),
            (_, SslMode::Require) => (Encryption::Tls, None),
        };
        let error = match self.login(first, password, recorder).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let Some(second) = second.filter(|_| error.depends_on_tls) else {
            return Err(error.problem);
        };
        self.login(second, password, recorder)
            .await
            .map_err(|again| match again.depends_on_tls {
                // Both attempts failed because of TLS. The first one is preferred, so its problem is reported.
                true => error.problem,
                false => again.problem,
            })
    }

    async fn login(
        &mut self,
        encryption: Encryption,
        password: Option<&Secret>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Reusable<PostgresSession>, LoginError> {
        let stream = self.stream(encryption, recorder).await?;
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(format!("logging in to {}", self.target).into()));
        let url = &self.settings.url;
        let mut config = Config::new();
        config.user(&url.user).application_name(&url.application_name);
        url.database.as_ref().map(|database| config.dbname(database));
        url.options.as_ref().map(|options| config.options(options));
        password.map(|password| config.password(password.expose()));
        // TLS is already established below the library.
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        match config.connect_raw(CheckedStream::new(stream), NoTls).await {
            Ok(session) => Ok(Reusable::new(
                PostgresSession::new(session),
                password.cloned(),
                recorder,
            )),
            Err(error) => Err(LoginError {
                problem: fault::problem(&error, &self.target, Operation::Login),
                depends_on_tls: fault::is_rejected_before_password(&error),
            }),
        }
    }

    async fn stream(
        &mut self,
        encryption: Encryption,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Stream, LoginError> {
        let address = match &self.settings.url.address {
            ServerAddress::Host(address) => address,
            ServerAddress::Unix { folder, port } => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                return Ok(connect_unix(&path, &self.read_budget, recorder).await?);
            }
        };
        let (resolver, preference) = (&self.network.resolver, self.settings.preference);
        let (mut stream, peer) = dial(resolver, address, preference, None, recorder).await?;
        if encryption == Encryption::Plain {
            return Ok(Stream::tcp(stream, &self.read_budget)?);
        }
        recorder.at(Step::Doing(
            format!("waiting for {peer} to report TLS support (is it a PostgreSQL server, does it hang?)")
                .into(),
        ));
        match (request_tls(&mut stream, peer).await?, encryption) {
            (false, Encryption::Tls) => {
                let message = format!(
                    "{}: the server does not support TLS: set ssl = on on the server, or use sslmode=disable in a \
                     trusted network",
                    self.target
                );
                Err(Problem::new(Reason::Tls, message).into())
            }
            (false, _) => Ok(Stream::tcp(stream, &self.read_budget)?),
            (true, _) => match self.tls.handshake(stream, peer, &address.host, recorder).await {
                Ok(secured) => Ok(Stream::tls(secured, &self.read_budget)),
                Err(problem) => Err(LoginError {
                    depends_on_tls: problem.reason == Reason::Tls,
                    problem: fault::tls_problem(&problem),
                }),
            },
        }
    }
}

/// Requests TLS, and returns whether the server supports it. Reads only the one byte of the response: what follows belongs to
/// the handshake.
async fn request_tls(stream: &mut TcpStream, peer: SocketAddr) -> Result<bool, Problem> {
    let at = |reason, what: &dyn std::fmt::Display| {
        Problem::new(reason, format_args!("requesting TLS from {peer}: {what}"))
    };
    let mut response = [0];
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut response).await
    };
    match asked.await {
        Err(error) => Err(match io_error::reason(&error) {
            Reason::Closed => at(
                Reason::Closed,
                &"the server closed the connection without a response",
            ),
            _ => io_error::problem(&error, format_args!("requesting TLS from {peer}: {error}")),
        }),
        Ok(_) => match response {
            [b'S'] => Ok(true),
            [b'N'] => Ok(false),
            [b'E'] => Err(at(
                Reason::Status,
                &"the server responds with an error and probably serves no clients: check its log",
            )),
            _ => Err(at(
                Reason::Protocol,
                &"not a valid PostgreSQL response: is another service listening there?",
            )),
        },
    }
}
