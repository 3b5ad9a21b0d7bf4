//! Which services a page shows: `?group=...&status=...`, each as often as wanted.

use url::form_urlencoded::Serializer;

use crate::model::Status;
use crate::store::{ServiceView, Snapshot};
use crate::web::query::{pairs, quoted};

/// The most values, so that a query can't make each service be compared with thousands.
const MAX_VALUES: usize = 32;

/// Which services to show: those of any of the groups, with any of the statuses. Empty lists show all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::web) struct Filter {
    groups: Vec<String>,
    statuses: Vec<Status>,
}

impl Filter {
    /// Reads the query of a URL.
    ///
    /// # Errors
    /// What is wrong, for a 400: a slip must not look as if nothing were down.
    pub fn of_query(query: Option<&str>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (count, (position, value)) in pairs(query, &["group", "status"])?.into_iter().enumerate() {
            if count == MAX_VALUES {
                return Err(format!("there are more than {MAX_VALUES} query parameters"));
            }
            if position == 0 {
                filter.groups.push(value);
                continue;
            }
            let status = Status::from_word(&value).ok_or_else(|| {
                format!(
                    "no status {}; there are up, degraded, down, unknown",
                    quoted(&value)
                )
            })?;
            filter.statuses.push(status);
        }
        Ok(filter)
    }

    /// A group that no service is in.
    pub fn unknown_group(&self, snapshot: &Snapshot) -> Option<&str> {
        let is_known = |group: &String| snapshot.services.iter().any(|view| view.service.group == *group);
        self.groups
            .iter()
            .find(|group| !is_known(group))
            .map(String::as_str)
    }

    /// What is said where no service has one of the statuses: `None is down or unknown`.
    pub fn none(&self) -> String {
        let words: Vec<_> = self.statuses.iter().map(|status| status.as_str()).collect();
        format!("None is {} at present.", words.join(" or "))
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
        self.statuses.contains(&status)
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
        Self {
            groups: self.groups.clone(),
            statuses: status.into_iter().collect(),
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
        query.extend_pairs(self.statuses.iter().map(|status| ("status", status.as_str())));
        format!("/?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_written() {
        let filter = Filter::of_query(Some("group=a%26b&status=down&status=unknown")).unwrap();
        assert!(filter.has_status(Status::Down) && !filter.has_status(Status::Up) && !filter.is_open());
        assert_eq!(filter.none(), "None is down or unknown at present.");
        assert_eq!(filter.with_status(Some(Status::Up)), "/?group=a%26b&status=up");
        assert_eq!(filter.with_status(None), Filter::of_group("a&b"));
        assert_eq!(Filter::of_query(None).unwrap().with_status(None), "/");
    }

    #[test]
    fn slips_are_told() {
        for (query, part) in [
            ("x=y", "known here: group, status"),
            ("status=donw", "no status \"donw\"; there are up"),
            ("group=%FF", "not UTF-8"),
        ] {
            let message = Filter::of_query(Some(query)).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        let most = "group=x&".repeat(MAX_VALUES);
        assert!(Filter::of_query(Some(&most)).is_ok());
        assert!(Filter::of_query(Some(&(most + "status=bogus"))).is_err());
    }
}
