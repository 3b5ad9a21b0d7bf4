//! A provider check in a running exporter: what it serves, what survives a restart, and where parts of the key show.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::common::provider::openai;
use crate::common::servers::{eventually, get};
use crate::{Exporter, LONG};

const KEY: &str = "sk-proj-0123456789abcdefWXYZ";

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_sends_no_request_and_only_check_config_shows_the_end_of_the_key() {
    let server = openai(KEY, &["gpt-5", "gpt-5-mini"]).await;
    let dir = tempfile::tempdir().unwrap();
    let (key_file, state) = (dir.path().join("key"), dir.path().join("state"));
    fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let config = format!(
        "services: [{{ key: models, checks: [{{ kind: provider, provider: openai, base_url: \"{}/v1\", \
         api_key_file: {}, expected_models: [gpt-5], model_dates: {{ gpt-5: 2099-01-01 }} }}] }}]\n",
        server.url(""),
        key_file.display()
    );
    let state_flag = format!("--state.dir={}", state.display());
    let flags = [state_flag.as_str(), "--log.level=debug"];
    for round in 0..2 {
        let exporter = Exporter::start(&config, &flags).await;
        let labels = "service=\"models\",group=\"default\",check=\"provider\"";
        for (name, label, value) in [
            ("upkeep_provider_key_valid", "", 1.0),
            ("upkeep_provider_models", "", 2.0),
            ("upkeep_provider_state", ",state=\"valid\"", 1.0),
            (
                "upkeep_provider_model_shutdown_timestamp_seconds",
                ",model=\"gpt-5\"",
                4_070_908_800.0,
            ),
            // Three intervals of the kind's own default.
            ("upkeep_check_stale_after_seconds", "", 10_800.0),
        ] {
            let series = format!("{name}{{{labels}{label}}}");
            assert_eq!(
                exporter.value(&series).await,
                Some(value),
                "{series} in round {round}"
            );
        }
        let metrics = exporter.metrics().await;
        let status: Value = serde_json::from_str(&get(&exporter.url("/api/status")).await.unwrap()).unwrap();
        let text = status.to_string();
        assert!(text.contains("last response about the key"), "{text}");
        let mut shown = metrics + &text + &exporter.server.log();
        for path in ["/", "/service/models", "/models", "/api/models"] {
            shown += &get(&exporter.url(path)).await.unwrap();
        }
        assert!(shown.contains("gpt-5-mini"), "the catalog is served");
        for part in ["sk-proj", "0123456789", "WXYZ"] {
            assert!(!shown.contains(part), "{part} in round {round}");
        }
        let saved = eventually("the saved results", LONG, || async {
            let text = fs::read_to_string(state.join("provider-results.json")).ok()?;
            text.contains("gpt-5-mini").then_some(text)
        })
        .await;
        assert!(!saved.contains("sk-proj") && !saved.contains("WXYZ"), "{saved}");
        // The list, and once with a wrong key.
        assert_eq!(server.received().len(), 2, "round {round}");
        let judged = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
            .args(["check-config", exporter.config().to_str().unwrap()])
            .output()
            .unwrap();
        let judged = String::from_utf8_lossy(&judged.stdout).into_owned();
        assert!(
            judged.contains("models/provider: API key \u{2026}WXYZ\n"),
            "{judged}"
        );
        assert!(!judged.contains("0123456789"), "{judged}");
        if round == 1 {
            // The command has no results to reuse.
            let config = format!("--config.file={}", exporter.config().display());
            let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
                .args(["check", &config])
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            assert_eq!(server.received().len(), 4);
        }
    }
}
