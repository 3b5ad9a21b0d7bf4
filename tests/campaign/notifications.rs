//! Finds the alerts of a notification that differ from the previous notification of the group.
//!
//! The Alertmanager sends a whole group when one of its alerts changes. So a firing alert arrives again with every other alert of
//! its service. That is not a second page.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::common::webhook::Notice;
use crate::judge::{Alert, Notification};

/// All new or changed alerts, in order of arrival.
pub struct NewNotifications {
    /// Alerts on the conditions of services.
    pub notifications: Vec<Notification>,
    /// Number of firing notifications of all other alerts, by name.
    pub others: BTreeMap<String, usize>,
}

/// The part of an alert that is compared with the previous notification.
type Entry = (String, String, String);

/// Finds the new or changed alerts in `notices`, which are in order of arrival.
pub fn new_notifications(notices: &[Notice], begun: Instant) -> NewNotifications {
    let mut found = NewNotifications {
        notifications: Vec::new(),
        others: BTreeMap::new(),
    };
    let mut last: HashMap<&str, Vec<Entry>> = HashMap::new();
    for notification in notices.chunk_by(|one, next| one.notification == next.notification) {
        let entries: Vec<Entry> = notification.iter().map(entry).collect();
        let before = last
            .insert(&notification[0].group, entries.clone())
            .unwrap_or_default();
        // The same group again is a repetition by the Alertmanager.
        let is_repetition = before == entries;
        for (notice, entry) in notification.iter().zip(&entries) {
            if is_repetition || !before.contains(entry) {
                found.add(notice, begun);
            }
        }
    }
    found
}

fn entry(notice: &Notice) -> Entry {
    (
        notice.labels.to_string(),
        notice.status.clone(),
        notice.starts_at.clone(),
    )
}

impl NewNotifications {
    fn add(&mut self, notice: &Notice, begun: Instant) {
        let name = notice.label("alertname");
        let is_firing = notice.status == "firing";
        match Alert::from_name(name) {
            Some(alert) => self.notifications.push(Notification {
                at: notice.at.saturating_duration_since(begun).as_secs_f64(),
                service: notice.label("service").to_owned(),
                alert,
                is_firing,
            }),
            None if is_firing => *self.others.entry(name.to_owned()).or_default() += 1,
            None => {}
        }
    }

    /// Whether an alert on this service has fired and not resolved.
    pub fn is_open(&self, service: &str) -> bool {
        let mut open = BTreeMap::new();
        for one in self.notifications.iter().filter(|one| one.service == service) {
            open.insert(one.alert, one.is_firing);
        }
        open.values().any(|is_firing| *is_firing)
    }
}

#[test]
fn only_changed_alerts_of_a_group_and_whole_repetitions_count() {
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
    let found = new_notifications(&notices, begun);
    let alerts: Vec<_> = found.notifications.iter().map(|one| one.alert).collect();
    assert_eq!(alerts, [Alert::Degraded, Alert::Slow]);
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
    assert_eq!(
        new_notifications(&notices, begun).notifications.len(),
        4,
        "a whole repetition counts"
    );

    notices.push(notice(4, degraded, "resolved"));
    notices.push(notice(4, slow, "resolved"));
    assert!(!new_notifications(&notices, begun).is_open("api"));
}
