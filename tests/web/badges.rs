//! Badges: the status and the uptime as pictures.

use crate::client::{Server, state};
use crate::common::pasts;
use crate::snapshots::every_status;

async fn served() -> Server {
    let mut state = state(every_status);
    state.history = pasts::usual(&every_status());
    Server::start(state).await
}

#[tokio::test]
async fn a_badge_says_the_status_of_a_service_or_the_worst_of_a_group() {
    let server = served().await;
    let snapshot = every_status();
    for view in &snapshot.services {
        let badge = server
            .get(&format!("/badge/{}.svg", view.service.key.as_str()), &[])
            .await;
        assert_eq!(badge.status, 200, "{}", badge.text());
        assert_eq!(badge.header("content-type"), Some("image/svg+xml"));
        assert_eq!(badge.header("cache-control"), Some("max-age=30"));
        let text = badge.text();
        let status = match view.maintenance {
            Some(_) => "maintenance",
            None => view.status.as_str(),
        };
        assert!(text.contains(&format!(": {status}</title>")), "{text}");
    }
    let group = &snapshot.services[0].service.group;
    let badge = server.get(&format!("/badge/group/{group}.svg"), &[]).await;
    assert!(
        badge.text().contains(&format!("<title>{group}: ")),
        "{}",
        badge.text()
    );
}

#[tokio::test]
async fn a_badge_says_the_uptime_of_a_range() {
    let server = served().await;
    let badge = server.get("/badge/api.svg?show=uptime&range=24h", &[]).await;
    let text = badge.text();
    assert!(text.contains("% in 24 hours</title>"), "{text}");
    for (path, status) in [
        ("/badge/absent.svg", 404),
        ("/badge/group/absent.svg", 404),
        ("/badge/api.svg?show=x", 400),
        ("/badge/api.svg?range=24h", 400),
        ("/badge/api.png", 404),
    ] {
        assert_eq!(server.get(path, &[]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn badges_are_off_unless_they_are_switched_on() {
    let mut state = state(every_status);
    state.has_badges = false;
    let server = Server::start(state).await;
    for path in ["/badge/api.svg", "/badge/group/x.svg"] {
        let refused = server.get(path, &[]).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("--web.badges"), "{}", refused.text());
    }
}
