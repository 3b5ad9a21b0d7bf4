//! Queries the management API for facts that AMQP does not provide: alarms, nodes, unacknowledged messages.
//!
//! Alarms come from a health check of the broker, which is always current. Statistics of nodes and queues are some seconds
//! old (collect_statistics_interval, 5 s by default). The API has its own timeout, so that a broker that works does not seem
//! down because its API does not respond.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::families::{ALARM, NODE_UP, QUEUE_MESSAGES_UNACKNOWLEDGED, push};
use super::warnings::{Severity, Warnings};
use crate::config::rabbitmq::{ManagementSettings, RabbitmqSettings, encode_segment};
use crate::model::{Problem, Reason, Report, prefix};
use crate::net::api_client::{ApiClient, ApiResponse};
use crate::net::endpoint::HostEndpoint;
use crate::net::http::authorization;
use crate::net::network::Network;
use crate::net::run_recorder::{RunRecorder, Step};

/// The maximum size of a response, in bytes. 32 nodes take 4 kB.
const MAX_RESPONSE_BYTES: usize = 64 << 10;
/// The maximum number of nodes that are reported.
const MAX_NODES: usize = 32;
/// The maximum length of a name in a label or a message, in bytes. Longer names are truncated.
const MAX_NAME_BYTES: usize = 64;

/// The alarms that have a series. The broker calls the second one "disk space".
const ALARMS: [&str; 2] = ["memory", "disk"];

/// The client of the management API.
#[derive(Debug)]
pub struct Management {
    settings: ManagementSettings,
    vhost: String,
    client: ApiClient,
}

/// The response of the health check for alarms.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Alarms {
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Alarm {
    #[serde(default)]
    node: String,
    resource: String,
}

/// A node of the cluster.
#[derive(Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    running: bool,
    mem_alarm: Option<bool>,
    disk_free_alarm: Option<bool>,
}

impl Management {
    /// The management API with these settings.
    pub fn new(api: &ManagementSettings, settings: &RabbitmqSettings, network: &Network) -> Self {
        let endpoint = HostEndpoint::new(network, &api.address, api.preference)
            .with_tls(api.tls.as_ref(), &[b"http/1.1"]);
        Self {
            client: ApiClient::new(endpoint.into(), settings.reuse_connection, MAX_RESPONSE_BYTES),
            settings: api.clone(),
            vhost: settings.vhost.clone(),
        }
    }

    /// Queries everything, and adds a warning for each problem. `queues` are the queues that exist.
    pub async fn query(
        &mut self,
        queues: &[String],
        recorder: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) {
        let address = self.settings.address.to_string();
        let timeout = recorder.within(self.settings.timeout);
        recorder.at(Step::Doing(
            format!("querying the management API at {address}").into(),
        ));
        // The API connection has its own report: the certificate and the phases of the run are those of the AMQP connection.
        let mut api_report = Report::default();
        let mut api_recorder = RunRecorder::new(&mut api_report);
        let querying = self.query_all(queues, &mut api_recorder, recorder.report, warnings);
        let queried = tokio::time::timeout(timeout, querying).await;
        drop(api_recorder);
        match queried {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                self.client.close();
                warnings.add(Severity::Management, problem);
            }
            Err(_) => {
                self.client.close();
                let message = format!(
                    "the management API at {address} did not respond within management_timeout ({}s): {}",
                    timeout.as_secs_f64(),
                    api_report.step
                );
                warnings.add(Severity::Management, Problem::new(Reason::Timeout, message));
            }
        }
    }

    async fn query_all(
        &mut self,
        queues: &[String],
        api_recorder: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<(), Problem> {
        self.client.begin();
        let are_alarms_known = self.query_alarms(api_recorder, report, warnings).await?;
        self.query_nodes(are_alarms_known, api_recorder, report, warnings)
            .await?;
        for name in queues {
            let path = format!(
                "/api/queues/{}/{}?columns=messages_unacknowledged",
                encode_segment(&self.vhost),
                encode_segment(name)
            );
            let doing = format!("reading the queue {name}");
            let response = self.get(&path, &doing, api_recorder).await?;
            if response.status == StatusCode::NOT_FOUND {
                continue;
            }
            // A new queue has no statistics yet. The response is then an empty list.
            let queue: serde_json::Value = self.body(&response, StatusCode::OK, &doing)?;
            if let Some(messages) = queue
                .get("messages_unacknowledged")
                .and_then(|count| count.as_f64())
            {
                push(
                    report,
                    &QUEUE_MESSAGES_UNACKNOWLEDGED,
                    name.clone().into(),
                    messages,
                );
            }
        }
        Ok(())
    }

    /// Queries the alarms of the cluster. Returns whether the broker has this health check (since 3.8.10).
    async fn query_alarms(
        &mut self,
        api_recorder: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<bool, Problem> {
        let doing = "reading the alarms";
        let response = self.get("/api/health/checks/alarms", doing, api_recorder).await?;
        let alarms: Alarms = match response.status {
            StatusCode::NOT_FOUND => return Ok(false),
            StatusCode::SERVICE_UNAVAILABLE => {
                self.body(&response, StatusCode::SERVICE_UNAVAILABLE, doing)?
            }
            _ => self.body(&response, StatusCode::OK, doing)?,
        };
        for label in ALARMS {
            let raised = alarms
                .alarms
                .iter()
                .find(|alarm| alarm.resource.starts_with(label));
            self.report_alarm(label, raised.map(|alarm| alarm.node.as_str()), report, warnings);
        }
        let is_known = |alarm: &&Alarm| ALARMS.iter().any(|label| alarm.resource.starts_with(label));
        if let Some(other) = alarms.alarms.iter().find(|alarm| !is_known(alarm)) {
            let message = format!(
                "{}: the alarm {} is active on {}",
                self.settings.address,
                truncate(&other.resource),
                truncate(&other.node)
            );
            warnings.add(Severity::Alarm, Problem::new(Reason::State, message));
        }
        Ok(true)
    }

    fn report_alarm(
        &self,
        label: &'static str,
        node: Option<&str>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) {
        let value = if node.is_some() { 1.0 } else { 0.0 };
        push(report, &ALARM, label.into(), value);
        if let Some(node) = node {
            let advice = match label {
                "memory" => "consume messages, or raise vm_memory_high_watermark",
                _ => "free disk space, or lower disk_free_limit",
            };
            let message = format!(
                "{}: the {label} alarm is active on {} and publishers are blocked: {advice}",
                self.settings.address,
                truncate(node)
            );
            warnings.add(Severity::Alarm, Problem::new(Reason::State, message));
        }
    }

    async fn query_nodes(
        &mut self,
        are_alarms_known: bool,
        api_recorder: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<(), Problem> {
        let doing = "reading the nodes";
        let path = "/api/nodes?columns=name,running,mem_alarm,disk_free_alarm";
        let response = self.get(path, doing, api_recorder).await?;
        let nodes: Vec<Node> = self.body(&response, StatusCode::OK, doing)?;
        if !are_alarms_known {
            let memory = nodes.iter().find(|node| node.mem_alarm == Some(true));
            let disk = nodes.iter().find(|node| node.disk_free_alarm == Some(true));
            self.report_alarm("memory", memory.map(|node| node.name.as_str()), report, warnings);
            self.report_alarm("disk", disk.map(|node| node.name.as_str()), report, warnings);
        }
        let mut reported: Vec<&str> = Vec::new();
        for node in nodes.iter().take(MAX_NODES) {
            let name = truncate(&node.name);
            if reported.contains(&name) {
                continue;
            }
            reported.push(name);
            let value = if node.running { 1.0 } else { 0.0 };
            push(report, &NODE_UP, name.to_owned().into(), value);
            if !node.running {
                let message = format!("{}: the node {name} is not running", self.settings.address);
                warnings.add(Severity::Node, Problem::new(Reason::State, message));
            }
        }
        Ok(())
    }

    async fn get(
        &mut self,
        path: &str,
        doing: &str,
        api_recorder: &mut RunRecorder<'_>,
    ) -> Result<ApiResponse, Problem> {
        api_recorder.at(Step::Doing(doing.to_owned().into()));
        let request = Request::get(format!("{}{path}", self.settings.prefix))
            .header(http::header::HOST, self.settings.address.authority())
            .header(http::header::ACCEPT, "application/json")
            .header(
                http::header::AUTHORIZATION,
                authorization(&self.settings.credentials)?,
            )
            .body(Full::<Bytes>::default());
        match request {
            Ok(request) => self.client.request(request, doing, api_recorder).await,
            Err(error) => Err(Problem::new(Reason::Internal, format_args!("{doing}: {error}"))),
        }
    }

    /// Parses the body of a response that must have this status.
    fn body<T: DeserializeOwned>(
        &self,
        response: &ApiResponse,
        expected: StatusCode,
        doing: &str,
    ) -> Result<T, Problem> {
        let address = &self.settings.address;
        let (reason, advice) = match response.status {
            status if status == expected => {
                return serde_json::from_slice(&response.body).map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    let message = format_args!(
                        "{address}, {doing}: the response is not valid for RabbitMQ (line {line}, column {column})"
                    );
                    Problem::new(Reason::Protocol, message)
                });
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
                Reason::Auth,
                " (check the password, and that the user has the tag monitoring)",
            ),
            _ => (Reason::Status, ""),
        };
        let message = format_args!(
            "{address}, {doing}: the management API responded with {}{advice}",
            response.status
        );
        Err(Problem::new(reason, message))
    }
}

/// Truncates a name for a label.
fn truncate(name: &str) -> &str {
    prefix(name, MAX_NAME_BYTES)
}
