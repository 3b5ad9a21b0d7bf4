//! Checks of infrastructure components against the real servers: what success, warning and each failure look like, and
//! that no connection is left behind.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod actuator;
mod celery;
mod dialogue;
mod dns;
mod docker;
mod exec;
mod grpc;
mod heal;
mod icmp;
mod memcached;
mod postgres;
mod provider;
mod rabbitmq;
mod redis;
mod s3;
mod websocket;
