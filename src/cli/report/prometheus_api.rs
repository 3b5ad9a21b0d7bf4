//! The part of Prometheus' HTTP API that a report needs. See the Prometheus documentation, "HTTP API".

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cli::server_client::{RequestError, ServerClient};

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// The API of one server.
pub struct PrometheusApi<'c> {
    client: &'c ServerClient,
}

/// A series of an instant query.
#[derive(Deserialize)]
pub struct Sample {
    /// Its labels.
    pub metric: Labels,
    /// Its time as a Unix time in seconds, and its value.
    pub value: (f64, String),
}

/// A series of a range query.
#[derive(Deserialize)]
pub struct Series {
    /// Its labels.
    pub metric: Labels,
    /// Its times as Unix times in seconds, and its values.
    pub values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Response<T> {
    data: T,
}

#[derive(Deserialize)]
struct Data<S> {
    result: Vec<S>,
}

impl<'c> PrometheusApi<'c> {
    /// Creates the API of the server of this client.
    pub const fn new(client: &'c ServerClient) -> Self {
        Self { client }
    }

    /// Returns the labels of all series of a metric in a range of Unix times in seconds.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn series(&self, metric: &str, from: i64, to: i64) -> Result<Vec<Labels>, RequestError> {
        let (from, to) = (from.to_string(), to.to_string());
        let query = [("match[]", metric), ("start", &from), ("end", &to)];
        let response: Response<Vec<Labels>> = self
            .client
            .get_json("api/v1/series", &query, "querying the services")
            .await?;
        Ok(response.data)
    }

    /// Evaluates a query at a Unix time in seconds.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn instant(&self, query: &str, time: i64) -> Result<Vec<Sample>, RequestError> {
        let time = time.to_string();
        let query = [("query", query), ("time", &time)];
        let response: Response<Data<Sample>> = self
            .client
            .get_json("api/v1/query", &query, "querying Prometheus")
            .await?;
        Ok(response.data.result)
    }

    /// Evaluates a query at every step of a range of Unix times in seconds.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn range(
        &self,
        query: &str,
        from: i64,
        to: i64,
        step: i64,
    ) -> Result<Vec<Series>, RequestError> {
        let (from, to, step) = (from.to_string(), to.to_string(), step.to_string());
        let query = [("query", query), ("start", &from), ("end", &to), ("step", &step)];
        let response: Response<Data<Series>> = self
            .client
            .get_json("api/v1/query_range", &query, "querying the outages")
            .await?;
        Ok(response.data.result)
    }
}
