//! Helpers shared by the integration tests. Each test binary uses only some of them.

#![allow(dead_code, clippy::unwrap_used)]

pub mod celery;
pub mod chatstack;
pub mod child;
pub mod clock;
pub mod config;
pub mod dashboards;
pub mod exporter;
pub mod grpc;
pub mod healing;
pub mod knot;
pub mod memcached;
pub mod node_packages;
pub mod old_tls;
pub mod pasts;
pub mod podman;
pub mod postgres;
pub mod provider;
pub mod proxies;
pub mod python_packages;
pub mod rabbitmq;
pub mod ran;
pub mod recipes;
pub mod redis;
pub mod s3;
pub mod schema_keys;
pub mod servers;
pub mod shipped;
pub mod snapshots;
pub mod stage;
pub mod switchable;
pub mod systemd;
pub mod talkers;
pub mod targets;
pub mod webhook;
pub mod websocket;

/// Makes a named pipe without a writer: opening it for reading blocks forever.
pub fn make_pipe(path: &std::path::Path) {
    use rustix::fs::{CWD, FileType, mknodat};
    mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
}
