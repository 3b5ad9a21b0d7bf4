//! What a notification says that the one before it did not.
//!
//! Alertmanager sends a group of alerts as a whole whenever one of them changes, so an alert that fires already comes again with
//! every other one of its service. That is no second page.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::common::webhook::Notice;
use crate::judge::{Alert, Told};

/// Everything that was news, in the order it came in.
pub struct News {
    /// About the conditions of services.
    pub told: Vec<Told>,
    /// How often every other alert began to be told, by its name.
    pub others: BTreeMap<String, usize>,
}

/// One alert of a notification, as far as it can be the same as before.
type Entry = (String, String, String);

/// What is news in `notices`, which are in the order they came in.
pub fn news(notices: &[Notice], begun: Instant) -> News {
    let mut news = News {
        told: Vec::new(),
        others: BTreeMap::new(),
    };
    let mut last: HashMap<&str, Vec<Entry>> = HashMap::new();
    for notification in notices.chunk_by(|one, next| one.notification == next.notification) {
        let entries: Vec<Entry> = notification.iter().map(entry).collect();
        let before = last
            .insert(&notification[0].group, entries.clone())
            .unwrap_or_default();
        // The same once more was sent for its own sake.
        let is_repetition = before == entries;
        for (notice, entry) in notification.iter().zip(&entries) {
            if is_repetition || !before.contains(entry) {
                news.take(notice, begun);
            }
        }
    }
    news
}

fn entry(notice: &Notice) -> Entry {
    (
        notice.labels.to_string(),
        notice.status.clone(),
        notice.starts_at.clone(),
    )
}

impl News {
    fn take(&mut self, notice: &Notice, begun: Instant) {
        let name = notice.label("alertname");
        let is_firing = notice.status == "firing";
        match Alert::from_name(name) {
            Some(alert) => self.told.push(Told {
                at: notice.at.saturating_duration_since(begun).as_secs_f64(),
                service: notice.label("service").to_owned(),
                alert,
                is_firing,
            }),
            None if is_firing => *self.others.entry(name.to_owned()).or_default() += 1,
            None => {}
        }
    }

    /// Whether something was told of a service and has not ended.
    pub fn is_open(&self, service: &str) -> bool {
        let mut open = BTreeMap::new();
        for told in self.told.iter().filter(|told| told.service == service) {
            open.insert(told.alert, told.is_firing);
        }
        open.values().any(|is_firing| *is_firing)
    }
}

#[test]
fn what_a_group_says_again_is_no_news_unless_it_says_nothing_else() {
    let begun = Instant::now();
    let notice = |notification, alert: &str, status: &str| Notice {
        at: begun,
        receiver: "team".to_owned(),
        notification,
        group: "team:api".to_owned(),
        status: status.to_owned(),
        starts_at: "noon".to_owned(),
        labels: serde_json::json!({ "alertname": alert, "service": "api" }),
        annotations: serde_json::Value::Null,
    };
    let (degraded, slow) = ("UpkeepServiceDegraded", "UpkeepServiceSlow");
    let mut notices = vec![
        notice(0, degraded, "firing"),
        notice(1, degraded, "firing"),
        notice(1, "UpkeepProcessMissing", "firing"),
        notice(2, degraded, "firing"),
        notice(2, "UpkeepProcessMissing", "resolved"),
        notice(2, slow, "firing"),
    ];
    let found = news(&notices, begun);
    let told: Vec<_> = found.told.iter().map(|told| told.alert).collect();
    assert_eq!(told, [Alert::Degraded, Alert::Slow]);
    assert_eq!(
        found.others,
        BTreeMap::from([("UpkeepProcessMissing".to_owned(), 1)])
    );
    assert!(found.is_open("api") && !found.is_open("web"));

    let again = notices[3..].to_vec();
    notices.extend(again.into_iter().map(|one| Notice {
        notification: 3,
        ..one
    }));
    assert_eq!(news(&notices, begun).told.len(), 4, "sent for its own sake");

    notices.push(notice(4, degraded, "resolved"));
    notices.push(notice(4, slow, "resolved"));
    assert!(!news(&notices, begun).is_open("api"));
}
