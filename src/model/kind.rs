//! The table of check kinds, one row per kind. Macros generate the enums and matches over kinds from it.

use std::fmt;

/// Passes the table of kinds to the macro `$then`. A row contains the documentation, the variant, the name, whether runs are
/// `timed`, and the types of options, settings and check. The name is used in the configuration, in labels, and for the modules
/// `config::NAME` and `check::NAME`.
macro_rules! with_kinds {
    ($then:ident) => {
        $then! {
            /// An HTTP request and its response.
            Http http timed HttpOptions HttpSettings HttpCheck;
            /// A TCP connection, optionally with TLS.
            Tcp tcp timed TcpOptions TcpSettings TcpCheck;
            /// The state of a systemd unit.
            Systemd systemd untimed SystemdOptions SystemdSettings SystemdCheck;
            /// Processes found in /proc.
            Process process untimed ProcessOptions ProcessSettings ProcessCheck;
            /// A PostgreSQL database: a login and a query.
            Postgres postgres timed PostgresOptions PostgresSettings PostgresCheck;
            /// A Redis or Valkey server, a sentinel or a cluster node.
            Redis redis timed RedisOptions RedisSettings RedisCheck;
            /// A RabbitMQ broker, its queues and its management API.
            Rabbitmq rabbitmq timed RabbitmqOptions RabbitmqSettings RabbitmqCheck;
            /// An object store: signed requests, and MinIO's health.
            S3 s3 timed S3Options S3Settings S3Check;
            /// Celery workers, pinged over their broker.
            Celery celery timed CeleryOptions CelerySettings CeleryCheck;
            /// A container, as reported by its engine.
            Docker docker untimed DockerOptions DockerSettings DockerCheck;
            /// A query to a name server.
            Dns dns timed DnsOptions DnsSettings DnsCheck;
            /// An echo request (ping).
            Icmp icmp timed IcmpOptions IcmpSettings IcmpCheck;
            /// A dialogue over a Unix socket, optionally with TLS.
            Unix unix timed UnixOptions UnixSettings UnixCheck;
            /// A WebSocket: an upgrade request, and a dialogue over messages.
            Websocket websocket timed WebsocketOptions WebsocketSettings WebsocketCheck;
            /// A gRPC server with the health checking protocol.
            Grpc grpc timed GrpcOptions GrpcSettings GrpcCheck;
            /// The machine: CPU, memory, disks.
            Host host untimed HostOptions HostSettings HostCheck;
            /// A memcached server.
            Memcached memcached timed MemcachedOptions MemcachedSettings MemcachedCheck;
            /// A local port: who holds it.
            Port port untimed PortOptions PortSettings PortCheck;
            /// The API key of a provider of models, and the models it offers.
            Provider provider untimed ProviderOptions ProviderSettings ProviderCheck;
            /// The installed packages of a Python environment.
            Python python untimed PythonOptions PythonSettings PythonCheck;
            /// The packages that a Node.js project has installed.
            Node node untimed NodeOptions NodeSettings NodeCheck;
            /// A program, such as a plugin of Nagios.
            Exec exec untimed ExecOptions ExecSettings ExecCheck;
            /// Beats that a job sends to the exporter.
            Heartbeat heartbeat untimed HeartbeatOptions HeartbeatSettings HeartbeatCheck;
        }
    };
}
pub(crate) use with_kinds;

/// Whether runs have a response time.
macro_rules! is_timed {
    (timed) => {
        true
    };
    (untimed) => {
        false
    };
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:ident $timed:ident $options:ident $settings:ident $check:ident;)+) => {
        /// A kind of check. The name is the same in the configuration (`kind: http`), in labels (`kind="http"`) and in
        /// the file names of the implementation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CheckKind {
            $($(#[$doc])* $variant),+
        }

        impl CheckKind {
            /// All kinds, in the order of the documentation.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$variant),+];

            /// The name in configuration and labels.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name)),+
                }
            }

            /// Whether runs of this kind have a response time, which thresholds judge and a histogram records.
            pub const fn is_timed(self) -> bool {
                match self {
                    $(Self::$variant => is_timed!($timed)),+
                }
            }
        }
    };
}
with_kinds!(kinds);

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
