//! The recipes of docs/HEARTBEATS.md that need neither cron nor systemd.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Stage, TOKEN, accepting, beats, said};
use crate::common::recipes::{BINARY, recipe};
use crate::common::servers::tool;
use crate::common::targets::{Target, ok};
use crate::{ends_with, errors, out};

/// Writes a recipe to a file.
fn write(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let path = stage.path(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_with_curl_reports_and_retries() {
    let stage = Stage::new();
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
    let exporter = Target::answering_each(vec![ok("OK\n"), busy, ok("OK\n")]).await;
    tool("curl", "curl");
    let script = recipe("# /usr/local/bin/with-heartbeat: with-heartbeat TOKEN_FILE COMMAND...");
    let output = Command::new("sh")
        .arg(write(&stage, "with-heartbeat", &script))
        .arg(stage.path("token"))
        .args(["sh", "-c", "echo \"$1\"; exit 3", "sh", "an argument"])
        .env("UPKEEP_URL", exporter.url(""))
        .output()
        .unwrap();
    ends_with(3, &output);
    assert_eq!(out(&output), "an argument\n");
    let beats = beats(&exporter);
    assert_eq!(said(&beats), ["start", "3", "3"]);
    assert!(beats[0].run_id.is_some() && beats.iter().all(|beat| beat.run_id == beats[0].run_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_with_curl_suffices() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let config = format!("url = \"{}/api/heartbeat/{TOKEN}\"\n", exporter.url(""));
    let config = write(&stage, "backup.curl", &config);
    let line = "backup --full && curl -fsS --max-time 10 --retry 5 --retry-connrefused -o /dev/null \
                --config /etc/upkeep_exporter/tokens/backup.curl";
    let line = recipe(line).replace("backup --full", "true").replace(
        "/etc/upkeep_exporter/tokens/backup.curl",
        config.to_str().unwrap(),
    );
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    ends_with(0, &output);
    let request = &exporter.received()[0];
    assert!(
        request.starts_with(&format!("GET /api/heartbeat/{TOKEN} HTTP/1.1\r\n")),
        "{request}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_module_reports_exceptions() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let first_line = r#""""Reports a job: `with heartbeat("/etc/upkeep_exporter/tokens/report"): ...`""""#;
    write(&stage, "heartbeat.py", &recipe(first_line));
    let run = |body: &str| {
        let program = format!(
            "import sys\nfrom heartbeat import heartbeat\nwith heartbeat(sys.argv[1], url=sys.argv[2]):\n    {body}\n"
        );
        Command::new("/usr/bin/python3")
            .args(["-B", "-c", &program])
            .arg(stage.path("token"))
            .arg(exporter.url(""))
            .current_dir(stage.dir.path())
            .output()
            .unwrap()
    };
    ends_with(0, &run("print('works')"));
    let failed = run("raise ValueError('no data')");
    ends_with(1, &failed);
    assert!(
        errors(&failed).contains("ValueError: no data"),
        "{}",
        errors(&failed)
    );
    for (body, status) in [
        ("sys.exit()", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('no data')", 1),
    ] {
        ends_with(status, &run(body));
    }
    // A token that can't be read does not fail the job.
    ends_with(
        0,
        &run("from heartbeat import beat; beat(sys.argv[2], '/missing', 'start', 'x', attempts=1)"),
    );
    let beats = beats(&exporter);
    assert_eq!(
        said(&beats),
        [
            "start", "0", "start", "fail", "start", "0", "start", "0", "start", "3", "start", "1", "start",
            "0"
        ]
    );
    assert!(beats[3].message.contains("ValueError: no data"), "{:?}", beats[3]);
    assert_eq!(beats[2].run_id, beats[3].run_id);
    assert_ne!(beats[1].run_id, beats[3].run_id);
}

/// Runs the command of the CronJob, with the paths and the URL of the test.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_of_the_cron_job_in_kubernetes_works() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let text = recipe("kind: CronJob");
    let manifest: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let pod = &manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let names = |list: &serde_json::Value| {
        let entries = list.as_array().unwrap().iter();
        entries
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
    let words: Vec<_> = container["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(words[0], BINARY);
    let replaced = words[1..]
        .iter()
        .filter(|word| !word.starts_with("--ca-file="))
        .map(|word| match *word {
            "--url=https://upkeep.example.org:10100" => format!("--url={}", exporter.url("")),
            "--token-file=/etc/upkeep/heartbeat/token" => {
                format!("--token-file={}", stage.path("token").display())
            }
            "/usr/local/bin/report" => "hostname".to_owned(),
            other => other.to_owned(),
        });
    let output = crate::upkeep(&[]).args(replaced).output().unwrap();
    ends_with(0, &output);
    let beats = beats(&exporter);
    assert_eq!(said(&beats), ["start", "0"]);
    assert_eq!(beats[1].message, out(&output));
}

#[test]
fn the_alertmanager_accepts_the_receiver() {
    let stage = Stage::new();
    let config = format!("route: {{ receiver: deadman }}\n{}", recipe("  - name: deadman"));
    let config = config.replace("/etc/alertmanager/upkeep-ca.pem", "/dev/null");
    let output = Command::new(tool("amtool", "prometheus-alertmanager"))
        .arg("check-config")
        .arg(write(&stage, "alertmanager.yml", &config))
        .output()
        .unwrap();
    ends_with(0, &output);
}
