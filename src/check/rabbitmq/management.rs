//! What the management API tells beside AMQP: alarms, nodes, unacknowledged messages.
//!
//! Alarms come from a health check of the broker's, which is told the truth of the moment; the statistics of nodes and
//! queues are some seconds old (collect_statistics_interval, 5 s by default). The API has a time of its own, so that its
//! silence does not make a broker look dead that works.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::families::{ALARM, NODE_UP, QUEUE_MESSAGES_UNACKNOWLEDGED, push};
use super::warnings::{Warnings, Weight};
use crate::config::rabbitmq::{ManagementSettings, RabbitmqSettings, escaped};
use crate::model::{Problem, Reason, Report};
use crate::net::api_client::{Answer, ApiClient};
use crate::net::endpoint::HostEndpoint;
use crate::net::http::authorization;
use crate::net::network::Network;
use crate::net::run_recorder::{RunRecorder, Step};

/// The largest answer, in bytes: 32 nodes take 4 kB.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// The most nodes that are reported.
const MAX_NODES: usize = 32;
/// The longest name that is shown, as a label or in a text, in bytes; longer ones are cut.
const MAX_NAME_BYTES: usize = 64;

/// The alarms that have a series; the broker calls the second one "disk space".
const ALARMS: [&str; 2] = ["memory", "disk"];

/// The client of the management API.
#[derive(Debug)]
pub struct Management {
    settings: ManagementSettings,
    vhost: String,
    client: ApiClient,
}

/// What the health check of alarms answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Alarms {
    alarms: Vec<InEffect>,
}

#[derive(Deserialize)]
struct InEffect {
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
    /// The management of these settings.
    pub fn new(api: &ManagementSettings, settings: &RabbitmqSettings, network: &Network) -> Self {
        let endpoint = HostEndpoint::new(network, &api.address, api.preference)
            .with_tls(api.tls.as_ref(), &[b"http/1.1"]);
        Self {
            client: ApiClient::new(endpoint.into(), settings.reuse_connection, MAX_ANSWER_BYTES),
            settings: api.clone(),
            vhost: settings.vhost.clone(),
        }
    }

    /// Asks for everything; what is wrong is a warning. `queues` are those that exist.
    pub async fn look(&mut self, queues: &[String], trace: &mut RunRecorder<'_>, warnings: &mut Warnings) {
        let address = self.settings.address.to_string();
        let timeout = trace.within(self.settings.timeout);
        trace.at(Step::Doing(format!("asking the management at {address}").into()));
        // Notes of its own: the certificate and the phases reported are those of the broker.
        let mut notes = Report::default();
        let mut side = RunRecorder::new(&mut notes);
        let asking = self.ask(queues, &mut side, trace.report, warnings);
        let asked = tokio::time::timeout(timeout, asking).await;
        drop(side);
        match asked {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                self.client.close();
                warnings.add(Weight::Management, problem);
            }
            Err(_) => {
                self.client.close();
                let message = format!(
                    "the management at {address} did not answer within management_timeout ({}s): {}",
                    timeout.as_secs_f64(),
                    notes.step
                );
                warnings.add(Weight::Management, Problem::new(Reason::Timeout, message));
            }
        }
    }

    async fn ask(
        &mut self,
        queues: &[String],
        side: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<(), Problem> {
        self.client.begin();
        let are_alarms_known = self.alarms(side, report, warnings).await?;
        self.nodes(are_alarms_known, side, report, warnings).await?;
        for name in queues {
            let path = format!(
                "/api/queues/{}/{}?columns=messages_unacknowledged",
                escaped(&self.vhost),
                escaped(name)
            );
            let doing = format!("asking for the queue {name}");
            let answer = self.get(&path, &doing, side).await?;
            if answer.status == StatusCode::NOT_FOUND {
                continue;
            }
            // A new queue has no statistics yet; the answer is an empty list then.
            let queue: serde_json::Value = self.body(&answer, StatusCode::OK, &doing)?;
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

    /// The alarms of the cluster; whether the broker has this health check (from 3.8.10 on).
    async fn alarms(
        &mut self,
        side: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<bool, Problem> {
        let doing = "asking for alarms";
        let answer = self.get("/api/health/checks/alarms", doing, side).await?;
        let alarms: Alarms = match answer.status {
            StatusCode::NOT_FOUND => return Ok(false),
            StatusCode::SERVICE_UNAVAILABLE => self.body(&answer, StatusCode::SERVICE_UNAVAILABLE, doing)?,
            _ => self.body(&answer, StatusCode::OK, doing)?,
        };
        for label in ALARMS {
            let raised = alarms
                .alarms
                .iter()
                .find(|alarm| alarm.resource.starts_with(label));
            self.alarm(label, raised.map(|alarm| alarm.node.as_str()), report, warnings);
        }
        let is_known = |alarm: &&InEffect| ALARMS.iter().any(|label| alarm.resource.starts_with(label));
        if let Some(other) = alarms.alarms.iter().find(|alarm| !is_known(alarm)) {
            let message = format!(
                "{}: the alarm {} is in effect on {}",
                self.settings.address,
                cut(&other.resource),
                cut(&other.node)
            );
            warnings.add(Weight::Alarm, Problem::new(Reason::State, message));
        }
        Ok(true)
    }

    fn alarm(&self, label: &'static str, node: Option<&str>, report: &mut Report, warnings: &mut Warnings) {
        let value = if node.is_some() { 1.0 } else { 0.0 };
        push(report, &ALARM, label.into(), value);
        if let Some(node) = node {
            let advice = match label {
                "memory" => "its queues fill the memory, consume them or raise vm_memory_high_watermark",
                _ => "its disk is full, free some or lower disk_free_limit",
            };
            let message = format!(
                "{}: the {label} alarm is in effect on {}, publishers are blocked: {advice}",
                self.settings.address,
                cut(node)
            );
            warnings.add(Weight::Alarm, Problem::new(Reason::State, message));
        }
    }

    async fn nodes(
        &mut self,
        are_alarms_known: bool,
        side: &mut RunRecorder<'_>,
        report: &mut Report,
        warnings: &mut Warnings,
    ) -> Result<(), Problem> {
        let doing = "asking for the nodes";
        let path = "/api/nodes?columns=name,running,mem_alarm,disk_free_alarm";
        let answer = self.get(path, doing, side).await?;
        let nodes: Vec<Node> = self.body(&answer, StatusCode::OK, doing)?;
        if !are_alarms_known {
            let memory = nodes.iter().find(|node| node.mem_alarm == Some(true));
            let disk = nodes.iter().find(|node| node.disk_free_alarm == Some(true));
            self.alarm("memory", memory.map(|node| node.name.as_str()), report, warnings);
            self.alarm("disk", disk.map(|node| node.name.as_str()), report, warnings);
        }
        let mut told: Vec<&str> = Vec::new();
        for node in nodes.iter().take(MAX_NODES) {
            let name = cut(&node.name);
            if told.contains(&name) {
                continue;
            }
            told.push(name);
            let value = if node.running { 1.0 } else { 0.0 };
            push(report, &NODE_UP, name.to_owned().into(), value);
            if !node.running {
                let message = format!("{}: the node {name} does not run", self.settings.address);
                warnings.add(Weight::Node, Problem::new(Reason::State, message));
            }
        }
        Ok(())
    }

    async fn get(&mut self, path: &str, doing: &str, side: &mut RunRecorder<'_>) -> Result<Answer, Problem> {
        side.at(Step::Doing(doing.to_owned().into()));
        let request = Request::get(format!("{}{path}", self.settings.prefix))
            .header(http::header::HOST, self.settings.address.authority())
            .header(http::header::ACCEPT, "application/json")
            .header(
                http::header::AUTHORIZATION,
                authorization(&self.settings.credentials)?,
            )
            .body(Full::<Bytes>::default());
        match request {
            Ok(request) => self.client.request(request, doing, side).await,
            Err(error) => Err(Problem::new(Reason::Internal, format_args!("{doing}: {error}"))),
        }
    }

    /// The body of an answer with this status.
    fn body<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        expected: StatusCode,
        doing: &str,
    ) -> Result<T, Problem> {
        let address = &self.settings.address;
        let (reason, advice) = match answer.status {
            status if status == expected => {
                return serde_json::from_slice(&answer.body).map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    let message = format_args!(
                        "{address}, {doing}: the answer is not RabbitMQ's (from line {line}, column {column} on)"
                    );
                    Problem::new(Reason::Protocol, message)
                });
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
                Reason::Auth,
                " (is the password right, and has the user the tag monitoring?)",
            ),
            _ => (Reason::Status, ""),
        };
        let message = format_args!(
            "{address}, {doing}: the management answered {}{advice}",
            answer.status
        );
        Err(Problem::new(reason, message))
    }
}

/// A name of the broker's, short enough for a label.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
