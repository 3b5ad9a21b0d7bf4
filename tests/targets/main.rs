//! Tests of http and tcp checks with servers that misbehave. Every fault has a reason, a message, samples and a duration, and
//! leaves no socket open.

// clippy.toml allows unwrap in #[test] functions only, not in their helpers.
#![allow(clippy::unwrap_used)]

mod answers;
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod content;
mod early;
mod extraction;
mod http2;
mod name_servers;
mod names;
mod oauth2;
mod old_tls;
mod proxies;
mod redirects;
mod zones;

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use common::make_pipe;
use common::ran::{LONG, Ran, SHORT, run};
use common::targets::dns::{Answer, NameServer};
use common::targets::{Target, ok, proxy, tls};
use serde_json::{Value, json};
use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::http::HttpCheck;
use upkeep_exporter::check::tcp::TcpCheck;
use upkeep_exporter::config::http::HttpOptions;
use upkeep_exporter::config::place::Place;
use upkeep_exporter::config::tcp::TcpOptions;
use upkeep_exporter::model::Reason;
use upkeep_exporter::net::network::Network;
use upkeep_exporter::net::resolve::ResolverFiles;

fn http_check(options: Value, context: &CheckContext) -> HttpCheck {
    let findings = RefCell::default();
    let options: HttpOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    let settings = settings.unwrap_or_else(|_| panic!("{findings:?}"));
    HttpCheck::new(&Arc::new(settings), context)
}

fn tcp_check(options: Value, context: &CheckContext) -> TcpCheck {
    let findings = RefCell::default();
    let options: TcpOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    TcpCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), context)
}

async fn http(options: Value) -> Ran {
    run!(http_check(options, &CheckContext::new("/proc".into())), LONG)
}

async fn get(url: String) -> Ran {
    http(json!({ "url": url })).await
}

async fn tcp(options: Value) -> Ran {
    run!(tcp_check(options, &CheckContext::new("/proc".into())), LONG)
}
