//! A Prometheus with the shipped rules and with data of the past.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::servers::{Server, eventually, free_port, get, tool};

/// The groups of rules/slo.yml.
pub const GROUPS: [&str; 2] = ["upkeep-slo", "upkeep-slo-days"];
/// Of the Prometheus here, instead of the shipped ones.
const INTERVAL: &str = "interval: 5s\n";
pub const START: Duration = Duration::from_secs(60);
/// For two evaluations with the shipped intervals.
const TWO_SHIPPED: Duration = Duration::from_secs(600);
/// Between two queries for the same thing, which would slow down what they wait for.
const PAUSE: Duration = Duration::from_millis(200);

/// A Prometheus with data of the past.
pub struct Past {
    port: u16,
    dir: TempDir,
    /// The end of these data, in seconds.
    pub end: u64,
}

impl Past {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        fs::create_dir(dir.path().join("rules")).unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        Self {
            port: free_port(),
            dir,
            end: now / 240 * 240,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Copies the shipped rules, with other intervals for the objectives unless `keep`.
    pub fn copy_rules(&self, keep: bool) {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                let mut text = fs::read_to_string(&path).unwrap();
                if path.ends_with("slo.yml") && !keep {
                    assert_eq!(text.matches("interval: ").count(), GROUPS.len());
                    text = text
                        .replace("interval: 1m\n", INTERVAL)
                        .replace("interval: 4m\n", INTERVAL);
                }
                let name = path.file_name().unwrap().to_str().unwrap();
                fs::write(self.path("rules").join(name), text).unwrap();
            }
        }
    }

    pub fn start(&self, config: &str) -> Server {
        fs::write(self.path("prometheus.yml"), config).unwrap();
        // With priority over the other tests of this machine. Without the permission, `nice` only warns.
        let mut command = Command::new("nice");
        command
            .args(["-n", "-10"])
            .arg(tool("prometheus", "prometheus"))
            .arg(format!("--config.file={}", self.path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.path("data").display()))
            .arg("--storage.tsdb.retention.time=100d")
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        Server::start("prometheus", command, self.dir.path())
    }

    pub async fn ready(&self) {
        let url = format!("http://127.0.0.1:{}/-/ready", self.port);
        eventually("Prometheus is ready", START, || get(&url)).await;
    }

    /// Adds samples to the data, before the start.
    pub fn import(&self, lines: &[String]) {
        let file = self.path("samples.txt");
        fs::write(&file, format!("{}\n# EOF\n", lines.join("\n"))).unwrap();
        // promtool reads the file once for each block.
        let block = "--max-block-duration=162h";
        self.promtool(&[
            block,
            "openmetrics",
            file.to_str().unwrap(),
            self.path("data").to_str().unwrap(),
        ]);
    }

    /// Adds what the rules would have recorded in the last `days`: Prometheus evaluates `expressions` for their names.
    pub fn record(&self, expressions: &[(&str, &str)], interval: u64, days: u64) {
        let rules: Vec<Value> = expressions
            .iter()
            .map(|(name, expr)| json!({ "record": name, "expr": format!("{expr} @ {}", self.end) }))
            .collect();
        let file = self.path("past.yml");
        let groups =
            json!({ "groups": [{ "name": "past", "interval": format!("{interval}s"), "rules": rules }] });
        fs::write(&file, groups.to_string()).unwrap();
        self.promtool(&[
            // The responses of Prometheus are large: 1,000 series of one block.
            "--max-block-duration=18h",
            "rules",
            &format!("--url=http://127.0.0.1:{}", self.port),
            &format!("--start={}", self.end - days * 86_400),
            &format!("--end={}", self.end),
            &format!("--output-dir={}", self.path("data").display()),
            file.to_str().unwrap(),
        ]);
    }

    fn promtool(&self, args: &[&str]) {
        let output = Command::new(tool("promtool", "prometheus"))
            .args(["tsdb", "create-blocks-from"])
            .args(args)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }

    async fn api(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let body = eventually(path, START, || get(&url)).await;
        serde_json::from_str::<Value>(&body).unwrap()["data"].clone()
    }

    /// The values of a query now, or at a time.
    pub async fn query(&self, query: &str, time: Option<u64>) -> Vec<f64> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query);
        if let Some(time) = time {
            form.append_pair("time", &time.to_string());
        }
        let result = self.api(&format!("query?{}", form.finish())).await["result"].clone();
        let values = result.as_array().unwrap().iter();
        values
            .map(|series| series["value"][1].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// Waits until a query returns something.
    pub async fn wait_for(&self, query: &str, limit: Duration) {
        eventually(query, limit, || async {
            tokio::time::sleep(PAUSE).await;
            self.query(query, None).await.pop()
        })
        .await;
    }

    /// All rules that Prometheus loaded, with their groups.
    pub async fn rules(&self) -> Vec<(Value, Value)> {
        let groups = self.api("rules").await["groups"].as_array().unwrap().clone();
        let rules = groups.into_iter().flat_map(|group| {
            let rules = group["rules"].as_array().unwrap().clone();
            rules.into_iter().map(move |rule| (group.clone(), rule))
        });
        rules.collect()
    }

    /// Waits for two evaluations of all groups, and prints the CPU time between them.
    pub async fn measure(&self) {
        let mut before = (0.0, Instant::now());
        for count in 1..=2 {
            eventually("an evaluation", TWO_SHIPPED, || async {
                tokio::time::sleep(PAUSE).await;
                (self.evaluations(GROUPS[1]).await.1 >= count).then_some(())
            })
            .await;
            let metrics = get(&format!("http://127.0.0.1:{}/metrics", self.port))
                .await
                .unwrap();
            let line = metrics
                .lines()
                .find(|line| line.starts_with("process_cpu_seconds_total "));
            let cpu: f64 = line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
            let (spent, time) = (cpu - before.0, before.1.elapsed());
            println!("Prometheus used {spent:.1} s of CPU time in {time:.0?}");
            before = (cpu, Instant::now());
        }
    }

    /// The duration of the last evaluation of a group, and how many there were.
    pub async fn evaluations(&self, group: &str) -> (Duration, u64) {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let text = eventually("the metrics of Prometheus", START, || get(&url)).await;
        let value = |name: &str| {
            let of_group = |line: &&str| line.starts_with(name) && line.contains(&format!(";{group}\"}}"));
            let line = text.lines().find(of_group)?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        let seconds = value("prometheus_rule_group_last_duration_seconds{").unwrap_or_default();
        let count = value("prometheus_rule_evaluations_total{").unwrap_or_default();
        let rules = value("prometheus_rule_group_rules{").unwrap_or(1.0);
        (Duration::from_secs_f64(seconds), (count / rules) as u64)
    }
}
