//! What a dialect is, and what it reads: a page of models.

use serde_json::Value;

use crate::check::provider_results::ListedModel;

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The models.
    pub models: Vec<ListedModel>,
    /// The token of the next page; `None` on the last page.
    pub next: Option<String>,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY` (RFC 6750).
    Bearer,
    /// A header whose value is the key.
    Plain(&'static str),
}

/// How a provider lists its models.
#[derive(Debug)]
pub struct Dialect {
    /// The path of the list below the base URL.
    pub path: &'static str,
    /// The header that carries the key.
    pub key_header: KeyHeader,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// The query of every page.
    pub query: &'static [(&'static str, &'static str)],
    /// The name of the parameter with the token of a page.
    pub page_parameter: &'static str,
    /// Reads a page. `None` if it is not a list of models.
    pub parse: fn(&Value) -> Option<Page>,
}
