//! The requests to the Alertmanager (its API version 2, and its metrics).

use jiff::Timestamp;
use serde::Deserialize;

use super::alert::{NAME, TestAlert};
use super::counts::Counts;
use crate::cli::server_client::{RequestError, ServerClient};
use crate::cli::show::clean;

/// An Alertmanager.
pub struct Alertmanager {
    client: ServerClient,
}

/// What the Alertmanager does with an alert (`gettableAlert` of its API).
#[derive(Debug)]
pub struct State {
    /// The names of the receivers.
    pub receivers: Vec<String>,
    silenced: usize,
    inhibited: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(default)]
    receivers: Vec<Receiver>,
    status: ListedStatus,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedStatus {
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

impl State {
    /// Why the Alertmanager does not notify anybody of the alert, if it doesn't.
    pub fn suppressed_by(&self) -> Option<&'static str> {
        match (self.silenced, self.inhibited) {
            (0, 0) => None,
            (0, _) => Some("inhibited by another alert"),
            _ => Some("silenced"),
        }
    }
}

impl Alertmanager {
    pub const fn new(client: ServerClient) -> Self {
        Self { client }
    }

    /// The URL, for messages.
    pub fn shown(&self) -> &str {
        self.client.shown()
    }

    /// Sends the alert.
    ///
    /// # Errors
    /// When the Alertmanager does not accept it.
    pub async fn post(&self, alert: &TestAlert) -> Result<(), RequestError> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let document = alert.to_json(&host, Timestamp::now());
        let sent = self
            .client
            .post_json("api/v2/alerts", &document, "sending the alert");
        sent.await
    }

    /// Queries the state of the alert. `None` while it is not listed, or not routed yet.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn state(&self, alert: &TestAlert) -> Result<Option<State>, RequestError> {
        let filters = [
            ("filter", format!("alertname=\"{NAME}\"")),
            ("filter", format!("service=\"{}\"", alert.service)),
        ];
        let filters = filters.each_ref().map(|(key, value)| (*key, value.as_str()));
        let listed: Vec<Listed> = self
            .client
            .get_json("api/v2/alerts", &filters, "querying the alert")
            .await?;
        Ok(listed
            .into_iter()
            .find(|alert| !alert.receivers.is_empty())
            .map(|alert| State {
                receivers: alert
                    .receivers
                    .iter()
                    .map(|receiver| clean(&receiver.name))
                    .collect(),
                silenced: alert.status.silenced_by.len(),
                inhibited: alert.status.inhibited_by.len(),
            }))
    }

    /// Queries how many requests of notifications were sent and failed.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn counts(&self) -> Result<Counts, RequestError> {
        let text = self.client.get("metrics", &[], "querying the metrics").await?;
        Ok(Counts::parse(&String::from_utf8_lossy(&text)))
    }
}
