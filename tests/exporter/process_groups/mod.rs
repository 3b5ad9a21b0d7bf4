//! `/metrics/processes`, compared with Debian's process-exporter.

mod beside;
mod series;
mod serving;
mod workload;
