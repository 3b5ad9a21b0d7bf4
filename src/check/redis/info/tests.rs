//! Tests of parsing INFO: texts as servers write them, and malformed texts.

use proptest::prelude::*;

use super::*;

/// From Redis 7.0, shortened.
const REDIS: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux x86_64\r\n\r\n\
    # Clients\r\nconnected_clients:3\r\nmaxclients:10000\r\n\r\n\
    # Memory\r\nused_memory:941664\r\nused_memory_human:919.59K\r\nmaxmemory:1048576\r\n\r\n\
    # Persistence\r\nrdb_last_bgsave_status:ok\r\n\r\n\
    # Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
    slave0:ip=127.0.0.1,port=7001,state=online,offset=14,lag=1\r\n\r\n\
    # Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb3:keys=7,expires=1,avg_ttl=0\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n";

/// From Valkey 8, shortened, in the form that its INFO command's documentation shows.
const VALKEY: &str = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n\
    valkey_release_stage:ga\r\nserver_mode:standalone\r\n\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\n\
    master_port:6379\r\nmaster_link_status:down\r\nmaster_sync_in_progress:0\r\nmaster_link_down_since_seconds:12\r\n\
    connected_slaves:0\r\n\r\n# Keyspace\r\n";

#[test]
fn a_redis_master_is_parsed() {
    let info = Info::parse(REDIS);
    assert_eq!(info.product(), Some(("redis", "7.0.15")));
    assert_eq!(info.role, Some(Role::Master));
    assert_eq!(
        (info.connected_clients, info.max_clients),
        (Some(3), Some(10_000))
    );
    assert_eq!(
        (info.memory_used, info.memory_limit),
        (Some(941_664), Some(1 << 20))
    );
    assert!((info.memory_share().unwrap() - 0.898).abs() < 0.001);
    assert_eq!(
        (info.is_last_save_ok, info.connected_replicas),
        (Some(true), Some(2))
    );
    assert_eq!((info.is_cluster_node, info.link.is_up), (false, None));
    assert_eq!(info.keys_with(0), [(0, 1), (3, 7)]);
    assert_eq!(info.keys_with(5), [(5, 0), (0, 1), (3, 7)]);
    assert_eq!(info.masters, []);
}

#[test]
fn a_valkey_replica_is_parsed() {
    let info = Info::parse(VALKEY);
    assert_eq!(info.product(), Some(("valkey", "8.0.1")));
    assert_eq!(info.role, Some(Role::Replica));
    let link = Link {
        is_up: Some(false),
        host: "10.0.0.1".to_owned(),
        port: "6379".to_owned(),
        down_seconds: Some(12),
        is_copying: false,
    };
    assert_eq!(info.link, link);
    assert_eq!(info.keys_with(0), [(0, 0)]);
    let sentinel = VALKEY
        .replace("standalone", "sentinel")
        .replace("role:slave", "x:y");
    assert_eq!(Info::parse(&sentinel).role, Some(Role::Sentinel));
}

#[test]
fn a_sentinel_is_parsed() {
    let info = Info::parse(
        "# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n\r\n# Sentinel\r\nsentinel_masters:2\r\n\
         master0:name=cache,status=ok,address=127.0.0.1:6379,slaves=1,sentinels=3\r\n\
         master1:name=queue,status=odown,address=127.0.0.1:6380,slaves=0,sentinels=3\r\n",
    );
    assert_eq!(info.role, Some(Role::Sentinel));
    let master = |name: &str, status: &str| Master {
        name: name.to_owned(),
        status: status.to_owned(),
    };
    assert_eq!(info.masters, [master("cache", "ok"), master("queue", "odown")]);
    // A sentinel has no databases, so none of them is reported as empty.
    assert_eq!(info.keys_with(0), []);
}

#[test]
fn missing_and_malformed_values_are_absent() {
    let info = Info::parse(
        "maxmemory:0\r\nused_memory:many\r\nrole:king\r\nrdb_last_bgsave_status:\r\ndbx:keys=1\r\ndb1:keys=\r\n",
    );
    assert_eq!(info, Info::default());
    assert_eq!((info.product(), info.memory_share()), (None, None));
}

#[test]
fn numbers_and_lengths_are_bounded() {
    let mut text = "# Keyspace\r\n".to_owned();
    for number in 0..200 {
        text += &format!(
            "db{number}:keys={number}\r\nmaster{number}:name=m{number},status={}\r\n",
            "s".repeat(999)
        );
    }
    text += &format!("redis_version:{}\r\ndb7:keys=9\r\n", "é".repeat(99));
    let info = Info::parse(&text);
    assert_eq!(info.keys_with(150).len(), MAX_DATABASES);
    assert_eq!(info.keys_with(150)[..2], [(150, 150), (0, 0)]);
    assert_eq!(info.masters.len(), MAX_MASTERS);
    assert_eq!(info.masters[0].status.len(), 64);
    assert_eq!(info.product(), Some(("redis", "é".repeat(32).as_str())));
    let twice = info.keys.iter().filter(|(database, _)| *database == 7).count();
    assert_eq!(twice, 1);
    let long = "m".repeat(100);
    let info = Info::parse(&format!(
        "master0:name={long}a,status=ok\nmaster1:name={long}b,status=ok\n"
    ));
    assert_eq!(
        info.masters.len(),
        1,
        "two names that are cut to one would be one series twice"
    );
}

#[test]
fn cluster_info_is_parsed() {
    let text = "cluster_state:fail\r\ncluster_slots_assigned:9\r\ncluster_slots_ok:1\r\n\
        cluster_slots_pfail:2\r\ncluster_slots_fail:6\r\n";
    assert_eq!(
        ClusterInfo::parse(text),
        Some(ClusterInfo {
            is_ok: false,
            slots_assigned: Some(9),
            slots_ok: Some(1),
            slots_pfail: Some(2),
            slots_fail: Some(6),
        })
    );
    assert_eq!(
        ClusterInfo::parse("cluster_state:ok\n"),
        Some(ClusterInfo {
            is_ok: true,
            slots_assigned: None,
            slots_ok: None,
            slots_pfail: None,
            slots_fail: None,
        })
    );
    assert_eq!(ClusterInfo::parse("cluster_state:?\n"), None);
    assert_eq!(ClusterInfo::parse(""), None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", own in any::<u32>()) {
        let info = Info::parse(&text);
        info.keys_with(own);
        ClusterInfo::parse(&text);
    }

    #[test]
    fn no_mixture_of_real_lines_makes_it_panic(
        lines in prop::collection::vec(
            ("(db|master|role|used_memory|# Keyspace|maxmemory|é)", "[0-9]{0,25}", "[:=,]{0,2}", "[a-z0-9=,é]{0,90}"),
            0..80,
        ),
        own in any::<u32>(),
    ) {
        let lines: Vec<String> = lines.into_iter().map(|(a, b, c, d)| format!("{a}{b}{c}{d}")).collect();
        let info = Info::parse(&lines.join("\r\n"));
        prop_assert!(info.keys_with(own).len() <= MAX_DATABASES);
        prop_assert!(info.masters.len() <= MAX_MASTERS);
        prop_assert!(info.masters.iter().all(|master| master.name.len() <= MAX_TEXT_BYTES));
    }
}
