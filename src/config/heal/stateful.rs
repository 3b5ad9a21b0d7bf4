//! Recognizes services that store data. A restart can make their failure worse: it interrupts a recovery, or drops a cache that
//! protected a database.

/// Names of widely used databases, brokers and stores. A unit or container counts as one of them if its name begins with such a
/// word, or has it after a `-`, `_` or `.`, as in `shop-postgres-1`.
const NAMES: [&str; 43] = [
    "activemq",
    "aerospike",
    "arangodb",
    "cassandra",
    "ceph",
    "clickhouse",
    "cockroach",
    "consul",
    "couchdb",
    "dragonfly",
    "elasticsearch",
    "etcd",
    "influxdb",
    "kafka",
    "keydb",
    "mariadb",
    "memcached",
    "minio",
    "mongo",
    "mosquitto",
    "mssql",
    "mysql",
    "nats",
    "neo4j",
    "opensearch",
    "percona",
    "postgres",
    "pulsar",
    "qdrant",
    "questdb",
    "rabbitmq",
    "redis",
    "rethinkdb",
    "scylla",
    "seaweedfs",
    "slapd",
    "solr",
    "timescale",
    "valkey",
    "vault",
    "victoria",
    "weaviate",
    "zookeeper",
];

/// The store that `name`, a unit or container, is by its name.
pub fn store_named(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let words = || name.split(['-', '_', '.', '@']);
    NAMES
        .into_iter()
        .find(|store| words().any(|word| word.starts_with(store)))
}

#[cfg(test)]
mod tests {
    use super::store_named;

    #[test]
    fn stores_are_recognized_by_their_names() {
        for (name, store) in [
            ("postgresql@15-main.service", Some("postgres")),
            ("redis-server.service", Some("redis")),
            ("shop-postgres-1", Some("postgres")),
            ("shop_mysql_1", Some("mysql")),
            ("MongoDB.service", Some("mongo")),
            // It is sealed after a restart.
            ("vault.service", Some("vault")),
            ("api.service", None),
            ("predis.service", None),
        ] {
            assert_eq!(store_named(name), store, "{name}");
        }
    }
}
