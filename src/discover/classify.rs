//! Groups services by what they are: by the server that answered, then by names. Pure.

use super::facts::{Greeter, Server};
use super::service::Group;

/// Parts of the names of programs, units and images, and their group. The first match counts.
const BY_NAME: &[(&str, Group)] = &[
    ("exporter", Group::Monitoring),
    ("prometheus", Group::Monitoring),
    ("alertmanager", Group::Monitoring),
    ("grafana", Group::Monitoring),
    ("node-exporter", Group::Monitoring),
    ("zabbix", Group::Monitoring),
    ("loki", Group::Monitoring),
    ("postgres", Group::Databases),
    ("pgbouncer", Group::Databases),
    ("mysql", Group::Databases),
    ("mariadb", Group::Databases),
    ("redis", Group::Databases),
    ("valkey", Group::Databases),
    ("memcached", Group::Databases),
    ("mongo", Group::Databases),
    ("etcd", Group::Databases),
    ("minio", Group::Databases),
    ("elasticsearch", Group::Databases),
    ("opensearch", Group::Databases),
    ("clickhouse", Group::Databases),
    ("influx", Group::Databases),
    ("cassandra", Group::Databases),
    ("qdrant", Group::Databases),
    ("rabbitmq", Group::Queues),
    ("beam.smp", Group::Queues),
    ("kafka", Group::Queues),
    ("nats", Group::Queues),
    ("mosquitto", Group::Queues),
    ("nginx", Group::Web),
    ("apache2", Group::Web),
    ("httpd", Group::Web),
    ("caddy", Group::Web),
    ("haproxy", Group::Web),
    ("traefik", Group::Web),
    ("envoy", Group::Web),
    ("varnish", Group::Web),
    ("celery", Group::Workers),
    ("worker", Group::Workers),
    ("sidekiq", Group::Workers),
    ("sshd", Group::System),
    ("ssh.service", Group::System),
    ("cron", Group::System),
    ("atd.service", Group::System),
    ("chrony", Group::System),
    ("ntp", Group::System),
    ("rsyslog", Group::System),
    ("auditd", Group::System),
    ("docker.service", Group::System),
    ("containerd", Group::System),
    ("libvirtd", Group::System),
    ("fail2ban", Group::System),
    ("cups", Group::System),
    ("rpcbind", Group::System),
];

/// The group of a service with these names and servers.
pub fn group(names: &[&str], servers: &[&Server], otherwise: Group) -> Group {
    let by_server = servers.iter().find_map(|server| match server {
        Server::Postgres | Server::Redis { .. } | Server::Memcached | Server::Greeter(Greeter::Mysql) => {
            Some(Group::Databases)
        }
        Server::Http(server) if server.is_minio => Some(Group::Databases),
        Server::Amqp => Some(Group::Queues),
        Server::Greeter(_) => Some(Group::System),
        Server::Http(_) | Server::Tls => None,
    });
    let has = |part: &str| names.iter().any(|name| name.to_lowercase().contains(part));
    let by_name = || {
        BY_NAME
            .iter()
            .find(|(part, _)| has(part))
            .map(|(_, group)| *group)
    };
    let is_http = servers.iter().any(|server| matches!(server, Server::Http(_)));
    by_server
        .or_else(by_name)
        .unwrap_or(if is_http { Group::Applications } else { otherwise })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::facts::HttpServer;

    #[test]
    fn servers_come_before_names() {
        let http = Server::Http(HttpServer::default());
        for (names, servers, expected) in [
            (&["worker.service"][..], &[&Server::Amqp][..], Group::Queues),
            (&["nginx"], &[&http], Group::Web),
            (&["shop.service", "python3"], &[&http], Group::Applications),
            (&["shop-worker.service"], &[], Group::Workers),
            (&["postgres_exporter"], &[&http], Group::Monitoring),
            (&["unknown.service"], &[], Group::Other),
        ] {
            assert_eq!(group(names, servers, Group::Other), expected, "{names:?}");
        }
    }
}
