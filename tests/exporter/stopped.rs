//! An exporter that was stopped for a while (SIGSTOP): nothing that it says moves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::common::exporter::get_owned;
use crate::common::servers::eventually;
use crate::common::switchable::Switchable;
use crate::{Exporter, LONG};

/// For how long it is stopped, each time: several intervals.
const STOPPED: Duration = Duration::from_secs(4);

/// Thresholds that no stop reaches: what a stop does to response times is another matter.
const DEFAULTS: &str = "defaults: { interval: 1s, timeout: 50s, recheck_interval: 1s, \
    thresholds: { degraded: 30s, down: 40s } }\nservices:\n";

fn since(service: &str, condition: &str) -> String {
    format!(
        "upkeep_service_condition_since_timestamp_seconds\
         {{service=\"{service}\",group=\"g\",tier=\"critical\",condition=\"{condition}\"}}"
    )
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_exporter_moves_no_since_time() {
    let (mut down, well, slow) = (
        Switchable::start().await,
        Switchable::start().await,
        Switchable::start().await,
    );
    down.stop().await;
    // So that a run of it is under way whenever the exporter is stopped.
    slow.slow_by(Duration::from_millis(900));
    let mut config = DEFAULTS.to_owned();
    for (key, target) in [("down", &down), ("well", &well), ("slow", &slow)] {
        config += &format!(
            "  - {{ key: {key}, group: g, checks: [{{ kind: http, url: 'http://{}/' }}] }}\n",
            target.address
        );
    }
    let exporter = Exporter::start(&config, &[]).await;
    let of_down = since("down", "down");
    let before = exporter.value(&of_down).await.unwrap();
    assert!(before > now() - LONG.as_secs_f64() && before <= now(), "{before}");
    for _ in 0..3 {
        exporter.server.signal(Signal::STOP);
        tokio::time::sleep(STOPPED).await;
        let since_then = now();
        exporter.server.signal(Signal::CONT);
        eventually("every check has run again", LONG, || async {
            let metrics = get_owned(exporter.url("/metrics")).await?;
            let runs = metrics
                .lines()
                .filter(|line| line.starts_with("upkeep_check_last_run_timestamp_seconds{"));
            let ends: Vec<f64> = runs
                .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
                .collect();
            (ends.len() == 3 && ends.iter().all(|end| *end > since_then)).then_some(())
        })
        .await;
        assert_eq!(
            exporter.value(&of_down).await,
            Some(before),
            "the since-time moved"
        );
        for service in ["well", "slow"] {
            for condition in ["down", "degraded", "slow"] {
                let series = since(service, condition);
                assert_eq!(exporter.value(&series).await, Some(0.0), "{series}");
            }
        }
    }
}
