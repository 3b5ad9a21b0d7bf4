//! What others can put into the log at will: not much.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::servers::eventually;
use crate::common::targets::Target;
use crate::{Exporter, LONG};

/// A TLS record with an alert of the level warning, close_notify (RFC 8446, section 6).
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 1, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_target_fills_no_log_by_a_librarys_warnings() {
    let target = Target::serve(|mut stream, _, _| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&ALERT.repeat(8)).await;
        Some(stream)
    })
    .await;
    let config = format!(
        "defaults: {{ interval: 100ms, recheck_interval: 100ms }}\n\
         services: [{{ key: a, checks: [{{ kind: http, url: 'https://{}/' }}] }}]\n",
        target.address
    );
    let exporter = Exporter::start(&config, &[]).await;
    let runs = "upkeep_check_runs_total{service=\"a\",group=\"default\",check=\"http\"}";
    eventually("thirty runs", LONG, || async {
        exporter.value(runs).await.filter(|runs| *runs >= 30.0)
    })
    .await;
    let log = exporter.server.log();
    assert_eq!(log.matches("TLS alert").count(), 1, "{log}");
}
