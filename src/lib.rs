//! Runs the configured checks of services in the background and serves the results as Prometheus metrics.

#![forbid(unsafe_code)]

pub mod check;
pub mod config;
pub mod metrics;
pub mod model;
pub mod schedule;
pub mod store;
pub mod verdict;
pub mod web;
