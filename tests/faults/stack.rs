//! One component of each kind, and an exporter that checks each every second.

use std::fmt::Write;

use tempfile::TempDir;

use crate::common::celery::App;
use crate::common::exporter::Exporter;
use crate::common::podman::Podman;
use crate::common::postgres::Postgres;
use crate::common::rabbitmq::RabbitMq;
use crate::common::redis::Redis;
use crate::common::s3;
use crate::component::{Component, Servers, secret_file};

/// An interval of one second, and a deadline below it, so that a hanging run ends before the next one is due.
const DEFAULTS: &str = "defaults: { interval: 1s, timeout: 800ms, recheck_interval: 1s, \
    thresholds: { degraded: 700ms, down: 800ms } }\nservices:\n";

/// The running components.
pub struct Stack {
    /// One component of each kind.
    pub components: Vec<Component>,
    dir: TempDir,
}

impl Stack {
    /// Starts all components.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (broker, components) = (rabbitmq(&dir).await, vec![postgres(&dir), redis(&dir).await]);
        let mut components = components;
        components.extend([broker, s3(&dir).await, celery(&dir).await, docker().await]);
        Self { components, dir }
    }

    /// The component of a kind.
    pub fn of(&mut self, kind: &str) -> &mut Component {
        self.components
            .iter_mut()
            .find(|component| component.kind == kind)
            .unwrap()
    }

    /// An exporter with one service for each component.
    pub async fn exporter(&self) -> Exporter {
        let mut config = DEFAULTS.to_owned();
        for Component { kind, keys, .. } in &self.components {
            writeln!(
                config,
                "  - {{ key: {kind}, group: Infrastructure, checks: [{{ kind: {kind}, {keys} }}] }}"
            )
            .unwrap();
        }
        let state = self.dir.path().join("state");
        std::fs::create_dir_all(&state).unwrap();
        Exporter::start(&config, &[&format!("--state.dir={}", state.display())]).await
    }
}

fn postgres(dir: &TempDir) -> Component {
    let server = Postgres::start("");
    let secret = secret_file(dir.path(), "postgres", "app-password");
    Component {
        kind: "postgres",
        keys: format!(
            "url: \"postgres://app@127.0.0.1:{}/app?sslmode=disable\", password_file: {}",
            server.port,
            secret.0.display()
        ),
        port: Some(server.port),
        secret: Some(secret),
        servers: Servers::Postgres(Box::new(server)),
    }
}

async fn redis(dir: &TempDir) -> Component {
    let server = Redis::with_password("cache-password", &[]).await;
    let secret = secret_file(dir.path(), "redis", "cache-password");
    Component {
        kind: "redis",
        keys: format!(
            "url: \"redis://127.0.0.1:{}/0\", password_file: {}",
            server.port(),
            secret.0.display()
        ),
        port: Some(server.port()),
        secret: Some(secret),
        servers: Servers::Redis(server),
    }
}

async fn rabbitmq(dir: &TempDir) -> Component {
    let server = RabbitMq::start().await;
    server.tenant("app", "broker-password", "monitoring");
    let secret = secret_file(dir.path(), "rabbitmq", "broker-password");
    Component {
        kind: "rabbitmq",
        keys: format!(
            // Connections that do not publish learn of an alarm only from the management API.
            "url: \"amqp://app@127.0.0.1:{}/app\", password_file: {}, management_url: \"http://127.0.0.1:{}\"",
            server.port,
            secret.0.display(),
            server.management_port
        ),
        port: Some(server.port),
        secret: Some(secret),
        servers: Servers::Rabbitmq(Box::new(server)),
    }
}

async fn s3(dir: &TempDir) -> Component {
    let store = s3::Store::start().await;
    store.make_bucket("raw-iq").await;
    let secret = secret_file(dir.path(), "s3", s3::SECRET_KEY);
    Component {
        kind: "s3",
        keys: format!(
            "endpoint: \"{}\", access_key: {}, secret_key_file: {}, buckets: [raw-iq]",
            store.url(),
            s3::ACCESS_KEY,
            secret.0.display()
        ),
        port: Some(store.port),
        secret: Some(secret),
        servers: Servers::S3(Box::new(store)),
    }
}

async fn celery(dir: &TempDir) -> Component {
    let broker = Redis::with_password("queue-password", &[]).await;
    let app = App::new(&broker.url(":queue-password@", 1), "{}");
    let worker = app.ready_worker("first").await;
    let secret = secret_file(dir.path(), "celery", "queue-password");
    Component {
        kind: "celery",
        keys: format!(
            // The default reply_timeout is longer than the deadline. Missing workers are reported nevertheless.
            "broker_url: \"redis://127.0.0.1:{}/1\", password_file: {}",
            broker.port(),
            secret.0.display()
        ),
        port: Some(broker.port()),
        secret: Some(secret),
        servers: Servers::Celery(Box::new((worker, broker, app))),
    }
}

async fn docker() -> Component {
    let engine = Podman::start().await;
    engine.run("web", &[], "sleep 100000");
    Component {
        kind: "docker",
        keys: format!("container: web, host: \"unix://{}\"", engine.socket().display()),
        port: None,
        secret: None,
        servers: Servers::Docker(engine),
    }
}
