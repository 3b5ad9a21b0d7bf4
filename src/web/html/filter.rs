//! Selects the services that a page shows: `?group=...&status=...`. Both parameters may be repeated. `history` selects the
//! range of the strips.

use url::form_urlencoded::Serializer;

use super::past::PastRange;
use crate::model::Status;
use crate::store::{ServiceView, Snapshot};
use crate::web::query::{parse_pairs, quote};

/// The maximum number of values in a query, since every service is compared with each of them.
const MAX_VALUES: usize = 32;

/// Selects the services in any of the groups with any of the statuses. An empty list selects all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::web) struct Filter {
    groups: Vec<String>,
    statuses: Vec<Status>,
    past: PastRange,
}

impl Filter {
    /// Parses the query of a URL. A mistake is an error, so that it does not look as if nothing were down.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse(query: Option<&str>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (count, (position, value)) in parse_pairs(query, &["group", "status", "history"])?
            .into_iter()
            .enumerate()
        {
            if count == MAX_VALUES {
                return Err(format!("too many query parameters; the limit is {MAX_VALUES}"));
            }
            if position == 0 {
                filter.groups.push(value);
                continue;
            }
            if position == 2 {
                filter.past = PastRange::parse(&value, &PastRange::OF_OVERVIEW)?;
                continue;
            }
            let status = Status::from_word(&value).ok_or_else(|| {
                format!(
                    "unknown status {}; supported: up, degraded, down, unknown",
                    quote(&value)
                )
            })?;
            filter.statuses.push(status);
        }
        Ok(filter)
    }

    /// Returns a selected group that has no services.
    pub fn unknown_group(&self, snapshot: &Snapshot) -> Option<&str> {
        let is_known = |group: &String| snapshot.services.iter().any(|view| view.service.group == *group);
        self.groups
            .iter()
            .find(|group| !is_known(group))
            .map(String::as_str)
    }

    /// Says that no service has a selected status: `No service is down or unknown.`
    pub fn no_match_message(&self) -> String {
        let words: Vec<_> = self.statuses.iter().map(|status| status.as_str()).collect();
        format!("No service is {}.", words.join(" or "))
    }

    /// Reports whether a service is shown.
    pub fn includes(&self, service: &ServiceView) -> bool {
        self.includes_group(service) && (self.statuses.is_empty() || self.selects_status(service.status))
    }

    /// Reports whether the group of a service is shown.
    pub fn includes_group(&self, service: &ServiceView) -> bool {
        self.groups.is_empty() || self.groups.contains(&service.service.group)
    }

    /// Reports whether only some statuses are shown, and this is one of them.
    pub fn selects_status(&self, status: Status) -> bool {
        self.statuses.contains(&status)
    }

    /// Reports whether all services are shown.
    pub const fn shows_everything(&self) -> bool {
        self.groups.is_empty() && self.statuses.is_empty()
    }

    /// Reports whether services of every status are shown.
    pub const fn shows_all_statuses(&self) -> bool {
        self.statuses.is_empty()
    }

    /// Returns the URL of the overview with the same groups, and this status or all.
    pub fn url_with_status(&self, status: Option<Status>) -> String {
        Self {
            groups: self.groups.clone(),
            statuses: status.into_iter().collect(),
            past: self.past,
        }
        .url()
    }

    /// Returns the URL of the overview of one group.
    pub fn url_of_group(group: &str) -> String {
        Self {
            groups: vec![group.to_owned()],
            ..Self::default()
        }
        .url()
    }

    /// Returns the URL of the overview of the same services, with this range of the strips.
    pub fn url_with_past(&self, past: PastRange) -> String {
        Self { past, ..self.clone() }.url()
    }

    /// Returns the range of the strips.
    pub const fn past(&self) -> PastRange {
        self.past
    }

    fn url(&self) -> String {
        if self.shows_everything() && self.past == PastRange::default() {
            return "/".into();
        }
        let mut query = Serializer::new(String::new());
        query.extend_pairs(self.groups.iter().map(|group| ("group", group)));
        query.extend_pairs(self.statuses.iter().map(|status| ("status", status.as_str())));
        if self.past != PastRange::default() {
            query.append_pair("history", self.past.as_str());
        }
        format!("/?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_parsed_and_written() {
        let filter = Filter::parse(Some("group=a%26b&status=down&status=unknown")).unwrap();
        assert!(
            filter.selects_status(Status::Down)
                && !filter.selects_status(Status::Up)
                && !filter.shows_everything()
        );
        assert_eq!(filter.no_match_message(), "No service is down or unknown.");
        assert_eq!(
            filter.url_with_status(Some(Status::Up)),
            "/?group=a%26b&status=up"
        );
        assert_eq!(filter.url_with_status(None), Filter::url_of_group("a&b"));
        assert_eq!(Filter::parse(None).unwrap().url_with_status(None), "/");
        let filter = Filter::parse(Some("status=down&history=90d")).unwrap();
        assert_eq!(filter.url_with_status(None), "/?history=90d");
        assert_eq!(filter.url_with_past(PastRange::Day), "/?status=down");
    }

    #[test]
    fn mistakes_are_errors() {
        for (query, part) in [
            ("x=y", "supported: group, status, history"),
            ("history=7d", "unknown history \"7d\"; supported: 24h, 90d"),
            ("status=donw", "unknown status \"donw\"; supported: up"),
            ("group=%FF", "not UTF-8"),
        ] {
            let message = Filter::parse(Some(query)).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        let longest = "group=x&".repeat(MAX_VALUES);
        assert!(Filter::parse(Some(&longest)).is_ok());
        assert!(Filter::parse(Some(&(longest + "status=bogus"))).is_err());
    }
}
