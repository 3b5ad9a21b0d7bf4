//! What checks of components cost: CPU time of ours and of the server for one run, connections, statements; beside the
//! exporters that Debian has for the same servers.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::client;
use crate::common::celery::App;
use crate::common::podman::Podman;
use crate::common::postgres::Postgres;
use crate::common::rabbitmq::RabbitMq;
use crate::common::redis::Redis;
use crate::common::s3;
use crate::common::servers::family;
use crate::exporter::Exporter;
use crate::lag::Window;
use crate::process::{Process, free_address};
use crate::report::Line;

/// Checks of one server, each with a connection of its own.
const CHECKS: usize = 10;
/// How long runs are counted.
const WINDOW: Duration = Duration::from_secs(8);
/// Scrapes of a peer that are counted.
const SCRAPES: u32 = 100;

/// A server to be asked.
struct Asked<'a> {
    kind: &'static str,
    /// The keys of a check of it.
    keys: String,
    /// Its processes; none where it runs in this one, so that its time can't be told from ours.
    processes: Vec<u32>,
    /// How many statements it has been asked so far.
    statements: Option<&'a dyn Fn() -> f64>,
    /// How many connections it has.
    connections: Option<&'a dyn Fn() -> usize>,
    /// An exporter for the same server, and its address.
    peer: Option<(&'static str, Process, SocketAddr)>,
}

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let mut lines = postgres(directory)?;
    let server = runtime.block_on(Redis::start(&[]));
    let commands = || number_after(&server.cli(&["INFO", "stats"]), "total_commands_processed:");
    lines.extend(costs(
        Asked {
            kind: "redis",
            keys: format!("url: \"redis://127.0.0.1:{}\"", server.port()),
            processes: family(server.pid()),
            statements: Some(&commands),
            connections: Some(&|| server.clients()),
            peer: Some(redis_exporter(server.port(), directory)?),
        },
        directory,
    )?);
    drop(server);

    let broker = runtime.block_on(RabbitMq::start());
    broker.tenant("app", "secret", "monitoring");
    lines.extend(costs(
        Asked {
            kind: "rabbitmq",
            keys: format!("url: \"amqp://app:secret@127.0.0.1:{}/app\"", broker.port),
            processes: family(broker.pid()),
            statements: None,
            connections: None,
            peer: None,
        },
        directory,
    )?);
    drop(broker);

    let store = runtime.block_on(s3::Store::in_process());
    runtime.block_on(store.make_bucket("raw-iq"));
    lines.extend(costs(
        Asked {
            kind: "s3",
            keys: format!(
                "endpoint: \"{}\", access_key: {}, secret_key: {}, buckets: [raw-iq], health: none",
                store.url(),
                s3::ACCESS_KEY,
                s3::SECRET_KEY
            ),
            processes: Vec::new(),
            statements: None,
            connections: Some(&|| store.connections()),
            peer: None,
        },
        directory,
    )?);
    drop(store);

    let broker = runtime.block_on(Redis::start(&[]));
    let url = broker.url("", 1);
    let app = App::new(&url, "{}");
    let worker = runtime.block_on(app.ready_worker("bench"));
    let commands = || number_after(&broker.cli(&["INFO", "stats"]), "total_commands_processed:");
    lines.extend(costs(
        Asked {
            kind: "celery",
            keys: format!("broker_url: \"{url}\""),
            processes: [family(worker.server.pid()), family(broker.pid())].concat(),
            statements: Some(&commands),
            connections: None,
            peer: None,
        },
        directory,
    )?);
    drop((worker, broker));

    let engine = runtime.block_on(Podman::start());
    engine.run("bench", &[], "sleep 100000");
    lines.extend(costs(
        Asked {
            kind: "docker",
            keys: format!("container: bench, host: \"unix://{}\"", engine.socket().display()),
            processes: family(engine.server.pid()),
            statements: None,
            connections: Some(&|| engine.connections()),
            peer: None,
        },
        directory,
    )?);
    Ok(lines)
}

fn postgres(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let server = Postgres::start("");
    let transactions = || {
        let count =
            server.sql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'app'");
        count.trim().parse().unwrap_or(f64::NAN)
    };
    let asked = Asked {
        kind: "postgres",
        keys: format!("url: \"{}\"", server.app()),
        processes: family(server.processes()[0]),
        statements: Some(&transactions),
        connections: Some(&|| server.sessions()),
        peer: Some(postgres_exporter(&server.superuser(), directory)?),
    };
    costs(asked, directory)
}

/// Asks the server for a while with [`CHECKS`] checks of ours, and then by the peer.
fn costs(mut asked: Asked<'_>, directory: &Path) -> anyhow::Result<Vec<Line>> {
    let kind = asked.kind;
    let mut config = String::from(
        "defaults: { interval: 100ms, timeout: 5s, recheck_interval: 100ms }\nservices:\n  - key: bench\n    checks:\n",
    );
    for number in 0..CHECKS {
        writeln!(
            config,
            "      - {{ kind: {kind}, name: check-{number}, {} }}",
            asked.keys
        )?;
    }
    let home = directory.join(kind);
    std::fs::create_dir_all(&home)?;
    let exporter = Exporter::ready(&config, &home)?;
    // What is read once a minute has been read by then.
    sleep(Duration::from_secs(2));
    let root = asked.processes.first().copied();
    let spent = || root.map_or(Ok(f64::NAN), |_| cpu(&asked.processes));
    let (before, ours, theirs) = (exporter.scrape()?, exporter.process.cpu()?, spent()?);
    let statements = asked.statements.map(|count| count());
    sleep(WINDOW);
    let after = exporter.scrape()?;
    let (ours, theirs) = (exporter.process.cpu()? - ours, spent()? - theirs);
    let statements = statements
        .zip(asked.statements)
        .map(|(before, count)| count() - before);
    let connections = asked.connections.map(|count| count());
    let window = Window {
        before: &before,
        after: &after,
    };
    let runs = window.growth("upkeep_check_runs_total", "");
    let failures = window.growth("upkeep_check_failures_total", "");
    ensure!(runs > 0.0, "{kind}: nothing ran\n{}", exporter.process.log());
    ensure!(
        failures == 0.0,
        "{kind}: {failures} of {runs} runs failed\n{}",
        exporter.process.log()
    );
    drop(exporter);

    let mut cost = Line::new(
        format!("{kind}: CPU of the exporter for one run"),
        1e6 * ours / runs,
        "us",
    );
    let mut load = Line::new(
        format!("{kind}: CPU of the server for one run"),
        1e6 * theirs / runs,
        "us",
    );
    if let Some((name, process, address)) = &mut asked.peer {
        let mut processes = asked.processes.clone();
        processes.truncate(1);
        let (peer, server) = scraped(process, *address, &processes)?;
        cost = cost.beside(name, 1e6 * peer);
        load = load.beside(name, 1e6 * server);
    }
    let mut lines = vec![cost];
    if root.is_some() {
        lines.push(load);
    }
    if let Some(count) = statements {
        lines.push(Line::new(
            format!("{kind}: statements for one run"),
            count / runs,
            "",
        ));
    }
    if let Some(count) = connections {
        let each = count as f64 / CHECKS as f64;
        lines.push(Line::new(format!("{kind}: connections of one check"), each, "").at_most(1.0));
    }
    Ok(lines)
}

/// CPU time of the peer and of the server for one scrape, in seconds.
fn scraped(peer: &mut Process, address: SocketAddr, server: &[u32]) -> anyhow::Result<(f64, f64)> {
    peer.wait_for(address)?;
    client::get(address, "/metrics", "")?.text()?;
    let before = (peer.cpu()?, cpu(server)?);
    for _ in 0..SCRAPES {
        client::get(address, "/metrics", "")?.text()?;
    }
    let each = |after: f64, before: f64| (after - before) / f64::from(SCRAPES);
    Ok((each(peer.cpu()?, before.0), each(cpu(server)?, before.1)))
}

/// CPU time of these processes, and of their children that ended, in seconds.
fn cpu(processes: &[u32]) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for id in processes
        .iter()
        .flat_map(|id| family(*id))
        .collect::<std::collections::BTreeSet<_>>()
    {
        let Ok(process) = procfs::process::Process::new(id.cast_signed()) else {
            continue;
        };
        let Ok(stat) = process.stat() else { continue };
        ticks += stat.utime + stat.stime + u64::try_from(stat.cutime + stat.cstime)?;
    }
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}

fn redis_exporter(port: u16, directory: &Path) -> anyhow::Result<(&'static str, Process, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new("prometheus-redis-exporter");
    command
        .arg(format!("-redis.addr=redis://127.0.0.1:{port}"))
        .arg(format!("-web.listen-address={address}"));
    let process = Process::start("redis_exporter", &command, directory)?;
    Ok(("redis_exporter, a scrape", process, address))
}

fn postgres_exporter(url: &str, directory: &Path) -> anyhow::Result<(&'static str, Process, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new("env");
    command
        .arg(format!("DATA_SOURCE_NAME={url}"))
        .arg("prometheus-postgres-exporter")
        .arg(format!("--web.listen-address={address}"));
    let process = Process::start("postgres_exporter", &command, directory)
        .context("apt-get install prometheus-postgres-exporter")?;
    Ok(("postgres_exporter, a scrape", process, address))
}

/// The number after a word in a text of lines.
fn number_after(text: &str, word: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or(f64::NAN)
}
