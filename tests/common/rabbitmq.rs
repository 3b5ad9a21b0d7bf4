//! A RabbitMQ broker with its management API and TLS. It has its own port mapper (epmd).

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use upkeep_exporter::check::amqp::{Connection, Credentials, Login};
use upkeep_exporter::config::secret::Secret;
use upkeep_exporter::model::Report;
use upkeep_exporter::net::read_budget::ReadBudget;
use upkeep_exporter::net::run_recorder::RunRecorder;
use upkeep_exporter::net::stream::Stream;

use super::servers::{Server, eventually, free_port, tool};
use super::targets::tls::{Authority, Identity};

/// How long the broker may take to start on a busy machine.
const START: Duration = Duration::from_secs(180);
/// Debian's script, without the wrapper that changes the user.
const SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// A client of the Erlang node. It starts in milliseconds, while rabbitmqctl takes seconds.
const ERL_CALL: &str = "/usr/lib/erlang/bin/erl_call";
const NODE: &str = "upkeep@localhost";

/// A running broker. Dropping it kills the broker.
pub struct RabbitMq {
    /// The AMQP port.
    pub port: u16,
    /// The port of AMQP over TLS. Its certificate has expired.
    pub tls_port: u16,
    /// The port of the management API.
    pub management_port: u16,
    /// The authority of the broker's certificate and of client certificates.
    pub authority: Authority,
    broker: Mutex<Server>,
    _epmd: Server,
    epmd_port: u16,
    dist_port: u16,
    dir: TempDir,
}

impl RabbitMq {
    /// Starts a broker and waits until it serves.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [port, tls_port, management_port, epmd_port, dist_port] = std::array::from_fn(|_| free_port());
        let authority = prepare(dir.path(), [port, tls_port, management_port]);
        let mut epmd = Command::new(tool("epmd", "erlang-base"));
        epmd.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let epmd = Server::start("epmd", epmd, dir.path());
        eventually("epmd listens", START, || async move {
            TcpStream::connect((Ipv4Addr::LOCALHOST, epmd_port)).await.ok()
        })
        .await;
        let broker = Server::start("rabbitmq", command(dir.path(), epmd_port, dist_port), dir.path());
        let started = Self {
            port,
            tls_port,
            management_port,
            authority,
            broker: Mutex::new(broker),
            _epmd: epmd,
            epmd_port,
            dist_port,
            dir,
        };
        started.serves(1).await;
        started
    }

    /// Waits until it has started for the `time`-th time.
    async fn serves(&self, time: usize) {
        eventually("RabbitMQ starts", START, || async move {
            let starts = self.log().matches("Server startup complete").count();
            (starts >= time).then_some(())
        })
        .await;
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.broker.lock().unwrap().log()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.broker.lock().unwrap().pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.broker.lock().unwrap().signal(signal);
    }

    /// Kills it.
    pub fn kill(&self) {
        self.broker.lock().unwrap().kill();
    }

    /// Starts it again with the same ports and data, after [`Self::kill`].
    pub async fn restart(&self) {
        let starts = self.log().matches("Server startup complete").count();
        let command = command(self.dir.path(), self.epmd_port, self.dist_port);
        *self.broker.lock().unwrap() = Server::start("rabbitmq", command, self.dir.path());
        self.serves(starts + 1).await;
    }

    /// Evaluates Erlang in the broker, as `rabbitmqctl eval` does, and returns the result.
    pub fn eval(&self, erlang: &str) -> String {
        assert!(PathBuf::from(ERL_CALL).is_file(), "install erlang-base");
        let cookie = fs::read_to_string(self.dir.path().join(".erlang.cookie")).unwrap();
        // Two clients with the same name would disturb each other.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let own = format!(
            "test{}_{}",
            std::process::id(),
            CALLS.fetch_add(1, Ordering::Relaxed)
        );
        let mut child = Command::new(ERL_CALL)
            .args(["-h", &own, "-c", &cookie, "-n", NODE, "-e"])
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{erlang}.").unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let answer = text.strip_prefix("{ok, ").and_then(|text| text.strip_suffix('}'));
        match answer {
            Some(answer) => answer.to_owned(),
            None => panic!("{erlang}: {text}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Creates a user with all permissions in its own virtual host, which has the same name.
    pub fn tenant(&self, name: &str, password: &str, tag: &str) {
        self.eval(&format!(
            "rabbit_vhost:add(<<\"{name}\">>, <<\"test\">>), \
             rabbit_auth_backend_internal:add_user(<<\"{name}\">>, <<\"{password}\">>, <<\"test\">>), \
             rabbit_auth_backend_internal:set_tags(<<\"{name}\">>, [{tag}], <<\"test\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"{name}\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, \
             <<\".*\">>, <<\"test\">>)"
        ));
    }

    /// Changes a user's password.
    pub fn set_password(&self, user: &str, password: &str) {
        let answer = self.eval(&format!(
            "rabbit_auth_backend_internal:change_password(<<\"{user}\">>, <<\"{password}\">>, <<\"test\">>)"
        ));
        assert_eq!(answer, "ok");
    }

    /// Sets or clears an alarm: memory or disk.
    pub async fn alarm(&self, resource: &str, is_set: bool) {
        let alarm = format!("{{resource_limit, {resource}, node()}}");
        self.eval(&match is_set {
            true => format!("rabbit_alarm:set_alarm({{{alarm}, []}})"),
            false => format!("rabbit_alarm:clear_alarm({alarm})"),
        });
        let is_in_effect = &format!("lists:keymember({alarm}, 1, rabbit_alarm:get_alarms())");
        eventually(
            "the alarm is as it was set",
            Duration::from_secs(10),
            || async move { (self.eval(is_in_effect) == is_set.to_string()).then_some(()) },
        )
        .await;
    }

    /// Waits until the broker has this many connections in a virtual host. Panics if it never does.
    pub async fn connections(&self, vhost: &str, expected: usize) {
        let list = format!(
            "length([P || P <- rabbit_networking:connections(), \
             [{{vhost, V}}] <- [catch rabbit_networking:connection_info(P, [vhost])], V =:= <<\"{vhost}\">>])"
        );
        let what = format!("{expected} connections in {vhost}");
        let list = &list;
        eventually(&what, Duration::from_secs(10), || async move {
            (self.eval(list) == expected.to_string()).then_some(())
        })
        .await;
    }

    /// Closes all connections of a virtual host, as an operator does.
    pub fn close_connections(&self, vhost: &str) {
        self.eval(&format!(
            "[rabbit_networking:close_connection(P, \"bye\") || P <- rabbit_networking:connections(), \
             [{{vhost, V}}] <- [catch rabbit_networking:connection_info(P, [vhost])], V =:= <<\"{vhost}\">>]"
        ));
    }

    /// Opens a connection of the test itself as a tenant, with an open channel.
    pub async fn connect(&self, name: &str, password: &str) -> Connection {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .unwrap();
        let stream = Stream::tcp(stream, &ReadBudget::new(16 << 20)).unwrap();
        let password = Secret::new(password);
        let login = Login {
            credentials: Credentials::Plain {
                user: name,
                password: &password,
            },
            vhost: name,
        };
        let mut report = Report::default();
        let opened = Connection::open(stream, &login, &mut RunRecorder::new(&mut report)).await;
        let mut connection = opened.unwrap();
        connection.open_channel().await.unwrap();
        connection
    }

    /// A client certificate that the broker accepts for the user "target".
    pub fn client(&self) -> Identity {
        self.authority.issue(&["target"], 2099)
    }
}

/// Writes the configuration of a broker with these ports: AMQP, AMQP over TLS, management. Returns the authority of its certificate.
pub fn prepare(dir: &Path, [port, tls_port, management_port]: [u16; 3]) -> Authority {
    let authority = Authority::new("upkeep test");
    let expired = authority.issue(&["localhost", "127.0.0.1"], 2021);
    let at = |name: &str| dir.join(name);
    fs::write(
        at("plugins"),
        "[rabbitmq_management,rabbitmq_auth_mechanism_ssl].",
    )
    .unwrap();
    fs::write(at("env.conf"), "").unwrap();
    for (name, text) in [
        ("ca.pem", &authority.pem()),
        ("cert.pem", &expired.certificate),
        ("key.pem", &expired.key),
    ] {
        fs::write(at(name), text).unwrap();
    }
    let here = dir.display();
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         listeners.ssl.1 = 127.0.0.1:{tls_port}\n\
         ssl_options.cacertfile = {here}/ca.pem\n\
         ssl_options.certfile = {here}/cert.pem\n\
         ssl_options.keyfile = {here}/key.pem\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = false\n\
         auth_mechanisms.1 = PLAIN\n\
         auth_mechanisms.2 = EXTERNAL\n\
         ssl_cert_login_from = common_name\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management_port}\n\
         log.console = true\n\
         log.file = false\n"
    );
    fs::write(at("rabbitmq.conf"), config).unwrap();
    authority
}

/// The command of a broker that was prepared in `dir`.
pub fn command(dir: &Path, epmd_port: u16, dist_port: u16) -> Command {
    assert!(
        PathBuf::from(SCRIPT).is_file(),
        "rabbitmq-server is not installed: run `apt-get install rabbitmq-server` as root, or tests/setup.sh"
    );
    let at = |name: &str| dir.join(name);
    let mut command = Command::new(SCRIPT);
    // With this variable, the script is replaced by the broker, so the process id is that of the broker.
    command.arg("-noinput").env("RABBITMQ_ALLOW_INPUT", "1");
    command
        .env("HOME", dir)
        .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
        .env("RABBITMQ_LOG_BASE", at("log"))
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_CONF_ENV_FILE", at("env.conf"))
        .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
        .env("RABBITMQ_DIST_PORT", dist_port.to_string())
        .env("ERL_EPMD_PORT", epmd_port.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false")
        .env_remove("NOTIFY_SOCKET");
    command
}

/// The broker that tests share, and the locks of its users.
static SHARED: LazyLock<Mutex<Weak<RabbitMq>>> = LazyLock::new(Mutex::default);
static STARTING: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(Default::default);
static USERS: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// Returns the shared broker. It ends with its last user.
async fn shared() -> Arc<RabbitMq> {
    let _starting = STARTING.lock().await;
    let running = SHARED.lock().unwrap().upgrade();
    match running {
        Some(running) => running,
        None => {
            let started = Arc::new(RabbitMq::start().await);
            *SHARED.lock().unwrap() = Arc::downgrade(&started);
            started
        }
    }
}

/// The shared broker, for a test that only uses its own tenant.
pub async fn shared_broker() -> (OwnedRwLockReadGuard<()>, Arc<RabbitMq>) {
    let broker = shared().await;
    (USERS.clone().read_owned().await, broker)
}

/// The shared broker, for a test that would disturb others.
pub async fn exclusive_broker() -> (OwnedRwLockWriteGuard<()>, Arc<RabbitMq>) {
    let broker = shared().await;
    (USERS.clone().write_owned().await, broker)
}
