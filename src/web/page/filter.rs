//! Which services a page shows: `?group=...&status=...`, each as often as wanted.

use url::form_urlencoded::{Serializer, parse};

use crate::model::Status;
use crate::store::ServiceView;

/// The most values that are looked at.
const MAX_VALUES: usize = 32;

/// Which services to show: those of any of the groups, with any of the statuses. Empty lists show all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::web) struct Filter {
    groups: Vec<String>,
    statuses: Vec<String>,
}

impl Filter {
    /// Reads the query of a URL.
    pub fn of_query(query: &str) -> Self {
        let mut filter = Self::default();
        for (key, value) in parse(query.as_bytes()).take(MAX_VALUES) {
            match &*key {
                "group" => filter.groups.push(value.into_owned()),
                "status" => filter.statuses.push(value.into_owned()),
                _ => {}
            }
        }
        filter
    }

    /// A status that there is not: a slip, which must not look as if nothing were down.
    pub fn unknown_status(&self) -> Option<String> {
        let is_unknown = |status: &&String| Status::from_word(status).is_none();
        self.statuses.iter().find(is_unknown).cloned()
    }

    /// Whether a service is shown.
    pub fn takes(&self, service: &ServiceView) -> bool {
        self.takes_group(service) && (self.statuses.is_empty() || self.has_status(service.status))
    }

    /// Whether a service's group is shown.
    pub fn takes_group(&self, service: &ServiceView) -> bool {
        self.groups.is_empty() || self.groups.contains(&service.service.group)
    }

    /// Whether only some statuses are shown, and this is one of them.
    pub fn has_status(&self, status: Status) -> bool {
        self.statuses.iter().any(|wanted| wanted == status.as_str())
    }

    /// Whether nothing is left out.
    pub const fn is_open(&self) -> bool {
        self.groups.is_empty() && self.statuses.is_empty()
    }

    /// Whether services of any status are shown.
    pub const fn takes_any_status(&self) -> bool {
        self.statuses.is_empty()
    }

    /// The URL of the overview with this status, or any, and the same groups.
    pub fn with_status(&self, status: Option<Status>) -> String {
        let statuses = status.map(|status| status.as_str().to_owned());
        Self {
            groups: self.groups.clone(),
            statuses: statuses.into_iter().collect(),
        }
        .url()
    }

    /// The URL of the overview of one group.
    pub fn of_group(group: &str) -> String {
        Self {
            groups: vec![group.to_owned()],
            statuses: Vec::new(),
        }
        .url()
    }

    fn url(&self) -> String {
        if self.is_open() {
            return "/".into();
        }
        let mut query = Serializer::new(String::new());
        query.extend_pairs(self.groups.iter().map(|group| ("group", group)));
        query.extend_pairs(self.statuses.iter().map(|status| ("status", status)));
        format!("/?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_written() {
        let filter = Filter::of_query("group=a%26b&status=down&status=unknown&x=y");
        assert!(filter.has_status(Status::Down) && !filter.has_status(Status::Up) && !filter.is_open());
        assert_eq!(filter.with_status(Some(Status::Up)), "/?group=a%26b&status=up");
        assert_eq!(filter.with_status(None), Filter::of_group("a&b"));
        assert_eq!(Filter::of_query("").with_status(None), "/");
        let endless = "group=x&".repeat(10_000);
        assert_eq!(Filter::of_query(&endless).groups.len(), MAX_VALUES);
    }
}
